using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public sealed class MetadataDatabaseTests : IDisposable
{
    private readonly TempFolder home = new();

    private string Database => home.File("metadata.db");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => home.Dispose();

    [Fact]
    public async Task MigrateAsync_NewFile_HasEveryTableAndSurvivesPowerLoss()
    {
        await MetadataDatabase.MigrateAsync(Database, Stop);
        using var context = new MetadataContext(MetadataDatabase.Options(Database));
        var tables = await context.Database.SqlQueryRaw<string>(
            "SELECT name AS Value FROM sqlite_master WHERE type = 'table'").ToListAsync(Stop);
        string[] expected =
        [
            "api_keys", "approvals", "artifact_edges", "artifact_files", "artifacts", "audit", "dataset_versions", "datasets",
            "deployments", "job_events", "jobs",
        ];
        Assert.Superset(expected.ToHashSet(), tables.ToHashSet());
        Assert.Equal(
            "wal", await context.Database.SqlQueryRaw<string>("SELECT journal_mode AS Value FROM pragma_journal_mode").SingleAsync(Stop));
        Assert.Equal(2, await context.Database.SqlQueryRaw<int>("SELECT synchronous AS Value FROM pragma_synchronous").SingleAsync(Stop));
        Assert.Equal(1, await context.Database.SqlQueryRaw<int>("SELECT foreign_keys AS Value FROM pragma_foreign_keys").SingleAsync(Stop));
    }

    [Fact]
    public async Task MigrateAsync_SchemaOfTheModel_HasNoPendingChange()
    {
        await MetadataDatabase.MigrateAsync(Database, Stop);
        using var context = new MetadataContext(MetadataDatabase.Options(Database));
        Assert.False(context.Database.HasPendingModelChanges(), "Run: dotnet ef migrations add NAME --project src/Data/ModelOps.Registry");
    }

    [Fact]
    public async Task MigrateAsync_ManyAtOnce_AllSucceed() =>
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => MetadataDatabase.MigrateAsync(Database, Stop), Stop)))
            .WaitAsync(TimeSpan.FromSeconds(30), Stop);

    [Fact]
    public async Task MigrateAsync_AfterAProcessDiedMigrating_Succeeds()
    {
        using (var connection = new SqliteConnection($"Data Source={Database}"))
        {
            await connection.OpenAsync(Stop);
            using var command = connection.CreateCommand();
            command.CommandText = """
                CREATE TABLE "__EFMigrationsLock" ("Id" INTEGER NOT NULL PRIMARY KEY, "Timestamp" TEXT NOT NULL);
                INSERT INTO "__EFMigrationsLock" VALUES (1, '2026-01-01 00:00:00');
                """;
            await command.ExecuteNonQueryAsync(Stop);
        }
        await MetadataDatabase.MigrateAsync(Database, Stop).WaitAsync(TimeSpan.FromSeconds(20), Stop);
    }

    [Fact]
    public async Task SaveChangesAsync_EventOfAJobThatIsNotThere_IsRefused()
    {
        await MetadataDatabase.MigrateAsync(Database, Stop);
        using var context = new MetadataContext(MetadataDatabase.Options(Database));
        context.JobEvents.Add(new JobEventRow { JobId = "none", Sequence = 1, At = DateTimeOffset.UnixEpoch, State = "queued" });
        await Assert.ThrowsAsync<DbUpdateException>(() => context.SaveChangesAsync(Stop));
    }

    [Fact]
    public async Task Jobs_ByTime_AreSortedByTheDatabase()
    {
        await MetadataDatabase.MigrateAsync(Database, Stop);
        using var context = new MetadataContext(MetadataDatabase.Options(Database));
        var noon = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        context.Jobs.AddRange(Job("later", noon.AddMinutes(1)), Job("earlier", noon.ToOffset(TimeSpan.FromHours(5))));
        await context.SaveChangesAsync(Stop);
        context.ChangeTracker.Clear();
        var jobs = await context.Jobs.Where(job => job.CreatedAt >= noon).OrderBy(job => job.CreatedAt).ToListAsync(Stop);
        Assert.Equal(["earlier", "later"], jobs.Select(job => job.Id));
        Assert.Equal(noon, jobs[0].CreatedAt);
    }

    private static JobRow Job(string id, DateTimeOffset createdAt) =>
        new() { Id = id, Kind = "sft", State = "queued", Input = "{}", CreatedAt = createdAt };
}
