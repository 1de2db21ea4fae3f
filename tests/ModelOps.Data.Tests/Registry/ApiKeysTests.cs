using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class ApiKeysTests(TestDatabase database)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CreateAsync_NewKey_AuthenticatesAndIsStoredAsAHashOnly()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("ada", Roles.Engineer));
        var created = await people.KeyAsync(new NewApiKey("ci", "ada", Role: null, ["artifacts:read", "inference"], ExpiresAt: null));
        Assert.Matches("^mo_[A-Za-z0-9_-]{43}$", created.Secret);
        var principal = (await people.Keys.AuthenticateAsync(created.Secret, Stop))!;
        Assert.Equal(("ada", Roles.Engineer, "artifacts:read inference"), (principal.Name, principal.Role, principal.Scopes));
        Assert.Equal((created.Key.Id, Roles.Engineer), (principal.KeyId, principal.OwnerRole));

        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        var row = await context.ApiKeys.SingleAsync(Stop);
        Assert.Matches("^[0-9a-f]{64}$", row.Hash);
        var written = await registry.DumpAsync();
        Assert.Contains(row.Hash, written, StringComparison.Ordinal);
        Assert.DoesNotContain(created.Secret[3..], written, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AuthenticateAsync_AnythingElse_IsNull()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("ada", Roles.Viewer));
        var secret = (await people.KeyAsync("ada")).Secret;
        string[] others = ["", "mo_", secret[..^1], secret + "A", secret.ToUpperInvariant()];
        foreach (var other in others)
            Assert.Null(await people.Keys.AuthenticateAsync(other, Stop));
    }

    [Fact]
    public async Task AuthenticateAsync_ExpiredOrRevoked_IsNull()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("ada", Roles.Viewer));
        var shortLived = await people.KeyAsync("ada", registry.Time.GetUtcNow().AddHours(1));
        var revoked = await people.KeyAsync("ada");
        Assert.NotNull(await people.Keys.AuthenticateAsync(shortLived.Secret, Stop));

        registry.Time.Advance(TimeSpan.FromHours(1));
        Assert.Null(await people.Keys.AuthenticateAsync(shortLived.Secret, Stop));
        Assert.False(await people.Keys.RevokeAsync(revoked.Key.Id, "bob", "bob", Stop)); // another's
        Assert.True(await people.Keys.RevokeAsync(revoked.Key.Id, "ada", "ada", Stop));
        Assert.False(await people.Keys.RevokeAsync(revoked.Key.Id, "ada", "ada", Stop));
        Assert.Null(await people.Keys.AuthenticateAsync(revoked.Secret, Stop));
    }

    [Fact]
    public async Task AuthenticateAsync_OwnerDisabledOrDemoted_TakesEffectAtOnce()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("root", Roles.Admin), ("ada", Roles.Engineer));
        var secret = (await people.KeyAsync("ada")).Secret;

        await people.DoneAsync(people.Users.SetRoleAsync("ada", Roles.Viewer, "root", Stop));
        var demoted = (await people.Keys.AuthenticateAsync(secret, Stop))!;
        Assert.Equal((Roles.Engineer, Roles.Viewer), (demoted.Role, demoted.OwnerRole));
        await people.DoneAsync(people.Users.DisableAsync("ada", "root", Stop));
        Assert.Null(await people.Keys.AuthenticateAsync(secret, Stop));
        await people.DoneAsync(people.Users.EnableAsync("ada", "root", Stop));
        Assert.NotNull(await people.Keys.AuthenticateAsync(secret, Stop));
        await people.DoneAsync(people.Users.RemoveAsync("ada", "root", Stop));
        Assert.Null(await people.Keys.AuthenticateAsync(secret, Stop));
    }

    [Fact]
    public async Task AuthenticateAsync_OftenInAMinute_WritesTheLastUseOnce()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("ada", Roles.Viewer));
        var key = await people.KeyAsync("ada");
        var first = registry.Time.GetUtcNow();
        await people.Keys.AuthenticateAsync(key.Secret, Stop);
        await IsNotedAsync(people, first);
        registry.Time.Advance(TimeSpan.FromSeconds(59));
        await people.Keys.AuthenticateAsync(key.Secret, Stop);
        registry.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(first, (await people.Keys.ListAsync("ada", Stop)).Single().LastUsedAt);
        await people.Keys.AuthenticateAsync(key.Secret, Stop);
        await IsNotedAsync(people, first.AddMinutes(1));
    }

    /// <summary>Sooner or later: it is noted beside the request.</summary>
    private static async Task IsNotedAsync(People people, DateTimeOffset at)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(patience);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while ((await people.Keys.ListAsync("ada", limit.Token)).Single().LastUsedAt != at) await tick.WaitForNextTickAsync(limit.Token);
    }

    [Fact]
    public async Task CreateAsync_SeveralFaults_NamesThemAll()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("ada", Roles.Engineer));
        var invalid = Assert.IsType<KeyCreation.Invalid>(
            await people.Keys.CreateAsync(new NewApiKey(" ", "ada", "root", [], registry.Time.GetUtcNow()), "ada", Stop));
        Assert.Equal(4, invalid.Errors.Count);
        Assert.Contains(invalid.Errors, error => error.Contains("viewer, engineer", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Roles.Engineer, Roles.Admin, false)]
    [InlineData(Roles.Viewer, Roles.Engineer, false)]
    [InlineData(Roles.Engineer, Roles.Viewer, true)]
    [InlineData(Roles.Admin, Roles.Service, true)]
    public async Task CreateAsync_RoleBeyondTheOwners_IsRefused(string owner, string role, bool made)
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("ada", owner));
        var creation = await people.Keys.CreateAsync(new NewApiKey("k", "ada", role, ["*"], ExpiresAt: null), "ada", Stop);
        Assert.Equal(made, creation is KeyCreation.Created);
    }
}

/// <summary>Users, sessions and keys on one registry's database.</summary>
internal sealed class People
{
    private People(TestRegistry registry)
    {
        Audit = new AuditLog(registry.Contexts, registry.Time);
        Sessions = new Sessions(registry.Contexts, Audit, registry.Time);
        Users = new Users(registry.Contexts, Sessions, Audit, registry.Time);
        Keys = new ApiKeys(registry.Contexts, Audit, registry.Time);
    }

    public AuditLog Audit { get; }
    public Sessions Sessions { get; }
    public Users Users { get; }
    public ApiKeys Keys { get; }

    public static async Task<People> WithAsync(TestRegistry registry, params (string Name, string Role)[] users)
    {
        var people = new People(registry);
        foreach (var (name, role) in users)
            await people.DoneAsync(people.Users.AddAsync(name, role, $"hash of {name}", "setup", TestContext.Current.CancellationToken));
        return people;
    }

    public async Task<UserRow> DoneAsync(Task<UserChange> change) => Assert.IsType<UserChange.Done>(await change).User;

    public Task<KeyCreation.Created> KeyAsync(string user, DateTimeOffset? expiresAt = null) =>
        KeyAsync(new NewApiKey("k", user, Role: null, [ApiKeys.AllScopes], expiresAt));

    public async Task<KeyCreation.Created> KeyAsync(NewApiKey create) =>
        Assert.IsType<KeyCreation.Created>(await Keys.CreateAsync(create, create.User, TestContext.Current.CancellationToken));
}

public sealed class ApiKeysOnSqliteTests() : ApiKeysTests(TestDatabase.Sqlite);

public sealed class ApiKeysOnPostgreSqlTests() : ApiKeysTests(TestDatabase.PostgreSql);
