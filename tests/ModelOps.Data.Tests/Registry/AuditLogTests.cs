using System.Data.Common;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class AuditLogTests(TestDatabase database)
{
    private static readonly JsonElement detail = JsonElement.Parse("""{"why":"test"}""");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AppendAsync_SixteenAtOnce_MakeOneChain()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var audit = new AuditLog(registry.Contexts, registry.Time);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(i =>
            Task.Run(() => audit.AppendAsync("ada", "artifact.used", $"tiny@{i}", detail, Stop), Stop)))
            .WaitAsync(TimeSpan.FromSeconds(30), Stop);
        Assert.Equal(16, Assert.IsType<AuditVerification.Intact>(await audit.VerifyAsync(cancellationToken: Stop)).Head.Sequence);
    }

    [Theory]
    [InlineData("UPDATE audit SET actor = 'mallory' WHERE sequence = 2", "row 2 ")]
    [InlineData("UPDATE audit SET at = at + 1 WHERE sequence = 2", "row 2 ")]
    [InlineData("UPDATE audit SET detail = '{}' WHERE sequence = 3", "row 3 ")]
    [InlineData("UPDATE audit SET hash = (SELECT hash FROM audit WHERE sequence = 1) WHERE sequence = 2", "row 2 ")]
    [InlineData("DELETE FROM audit WHERE sequence = 2", "row 2 is missing")]
    [InlineData("DELETE FROM audit WHERE sequence = 1", "row 1 is missing")]
    public async Task VerifyAsync_EditedOrMissingRow_IsNamed(string tampering, string fault)
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var audit = await FillAsync(registry);
        await TamperAsync(registry, tampering);
        var broken = Assert.IsType<AuditVerification.Broken>(await audit.VerifyAsync(cancellationToken: Stop));
        Assert.Contains(fault, broken.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task VerifyAsync_RowsCutOffTheEnd_AreFoundAgainstANotedHead()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var audit = await FillAsync(registry);
        var noted = Assert.IsType<AuditVerification.Intact>(await audit.VerifyAsync(cancellationToken: Stop)).Head;
        await TamperAsync(registry, "DELETE FROM audit WHERE sequence >= 3");
        Assert.Equal(new AuditVerification.Broken("the rows 3 to 4 are missing."), await audit.VerifyAsync(noted, Stop));
    }

    [Fact]
    public async Task VerifyAsync_RewrittenChain_IsFoundAgainstANotedHead()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var audit = await FillAsync(registry);
        var noted = Assert.IsType<AuditVerification.Intact>(await audit.VerifyAsync(cancellationToken: Stop)).Head;
        await TamperAsync(registry, "DELETE FROM audit");
        await FillAsync(registry, "mallory");
        Assert.IsType<AuditVerification.Intact>(await audit.VerifyAsync(cancellationToken: Stop));
        Assert.IsType<AuditVerification.Broken>(await audit.VerifyAsync(noted, Stop));
    }

    [Fact]
    public async Task SaveChangesAsync_ChangedRow_IsRefusedByTheDatabase()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await FillAsync(registry);
        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        await Assert.ThrowsAnyAsync<DbException>(() => context.Audit.ExecuteDeleteAsync(Stop));
        await Assert.ThrowsAnyAsync<DbException>(() =>
            context.Audit.ExecuteUpdateAsync(update => update.SetProperty(row => row.Actor, "mallory"), Stop));
    }

    private static async Task<AuditLog> FillAsync(TestRegistry registry, string actor = "ada")
    {
        var audit = new AuditLog(registry.Contexts, registry.Time);
        for (var i = 1; i <= 4; i++)
            await audit.AppendAsync(actor, "artifact.used", $"tiny@{i}", detail, Stop);
        return audit;
    }

    /// <summary>As somebody with the file would: without the triggers.</summary>
    private static async Task TamperAsync(TestRegistry registry, string sql)
    {
        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        var on = registry.Options.Provider == MetadataOptions.Sqlite ? "" : " ON audit";
        await context.Database.ExecuteSqlRawAsync($"DROP TRIGGER audit_no_update{on}; DROP TRIGGER audit_no_delete{on};", Stop);
        await context.Database.ExecuteSqlRawAsync(sql.Replace("{}", "{{}}", StringComparison.Ordinal), Stop); // braces mark parameters
    }
}

public sealed class AuditLogOnSqliteTests() : AuditLogTests(TestDatabase.Sqlite);

public sealed class AuditLogOnPostgreSqlTests() : AuditLogTests(TestDatabase.PostgreSql);
