using System.Text;
using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class ApiKeysTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CreateAsync_NewKey_AuthenticatesAndIsStoredAsAHashOnly()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var keys = new ApiKeys(registry.Contexts, registry.Time);
        var created = await keys.CreateAsync("ci", Roles.Engineer, cancellationToken: Stop);
        Assert.Matches("^mo_[A-Za-z0-9_-]{43}$", created.Secret);
        Assert.Equal(created.Principal, await keys.AuthenticateAsync(created.Secret, Stop));
        Assert.Equal(("ci", Roles.Engineer), (created.Principal.Name, created.Principal.Role));

        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        var row = await context.ApiKeys.SingleAsync(Stop);
        Assert.Matches("^[0-9a-f]{64}$", row.Hash);
        if (database != TestDatabase.Sqlite) return;
        var written = await File.ReadAllTextAsync(registry.File("metadata.db-wal"), Encoding.Latin1, Stop);
        Assert.Contains(row.Hash, written, StringComparison.Ordinal);
        Assert.DoesNotContain(created.Secret[3..], written, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AuthenticateAsync_AnythingElse_IsNull()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var keys = new ApiKeys(registry.Contexts, registry.Time);
        var secret = (await keys.CreateAsync("ci", Roles.Viewer, cancellationToken: Stop)).Secret;
        string[] others = ["", "mo_", secret[..^1], secret + "A", secret.ToUpperInvariant()];
        foreach (var other in others)
            Assert.Null(await keys.AuthenticateAsync(other, Stop));
    }

    [Fact]
    public async Task AuthenticateAsync_ExpiredOrRevoked_IsNull()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var keys = new ApiKeys(registry.Contexts, registry.Time);
        var short1 = await keys.CreateAsync("short", Roles.Viewer, registry.Time.GetUtcNow().AddHours(1), Stop);
        var revoked = await keys.CreateAsync("revoked", Roles.Viewer, cancellationToken: Stop);
        Assert.NotNull(await keys.AuthenticateAsync(short1.Secret, Stop));

        registry.Time.Advance(TimeSpan.FromHours(1));
        Assert.Null(await keys.AuthenticateAsync(short1.Secret, Stop));
        Assert.True(await keys.RevokeAsync(revoked.Principal.Id, Stop));
        Assert.False(await keys.RevokeAsync(revoked.Principal.Id, Stop));
        Assert.Null(await keys.AuthenticateAsync(revoked.Secret, Stop));
    }

    [Fact]
    public async Task CreateAsync_UnknownRoleOrPastExpiry_IsMisuse()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var keys = new ApiKeys(registry.Contexts, registry.Time);
        var unknown = await Assert.ThrowsAsync<ArgumentException>(() => keys.CreateAsync("x", "root", cancellationToken: Stop));
        Assert.Contains("viewer, engineer", unknown.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(() => keys.CreateAsync("x", Roles.Admin, registry.Time.GetUtcNow(), Stop));
    }
}

public sealed class ApiKeysOnSqliteTests() : ApiKeysTests(TestDatabase.Sqlite);

public sealed class ApiKeysOnPostgreSqlTests() : ApiKeysTests(TestDatabase.PostgreSql);
