using System.ComponentModel.DataAnnotations;
using System.Data.Common;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using ModelOps.Registry;
using Npgsql;

namespace ModelOps.Data.Tests.Registry;

public abstract class MetadataDatabaseTests(TestDatabase database)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(120);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task MigrateAsync_NewDatabase_HasEveryTable()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using var context = registry.Database.CreateDbContext();
        var tables = await context.Database.SqlQueryRaw<string>(database == TestDatabase.Sqlite
            ? """SELECT name AS "Value" FROM sqlite_master WHERE type = 'table'"""
            : """SELECT tablename AS "Value" FROM pg_tables WHERE schemaname = 'public'""").ToListAsync(Stop);
        string[] expected =
        [
            "alias_moves", "aliases", "api_keys", "approvals", "artifact_edges", "artifact_files", "artifacts", "audit", "blob_uses",
            "dataset_versions", "datasets", "deployments", "job_events", "jobs", "refresh_tokens", "sessions", "users",
        ];
        Assert.Superset(expected.ToHashSet(), tables.ToHashSet());
    }

    [Fact]
    public async Task MigrateAsync_SchemaOfTheModel_HasNoPendingChange()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using var context = registry.Database.CreateDbContext();
        Assert.False(context.Database.HasPendingModelChanges(), "Run: src/Data/ModelOps.Registry/Metadata/add-migration NAME");
    }

    [Fact]
    public async Task MigrateAsync_EightAtOnceOnAnEmptyDatabase_AllSucceedAndMigrateOnce()
    {
        using var registry = await TestRegistry.CreateEmptyAsync(database);
        var others = Enumerable.Range(0, 8).Select(_ => registry.OpenAgain()).ToList();
        await Task.WhenAll(others.Select(other => Task.Run(() => other.MigrateAsync(Stop), Stop))).WaitAsync(patience, Stop);
        foreach (var other in others) await other.DisposeAsync();
        using var context = registry.Database.CreateDbContext();
        var applied = await context.Database.GetAppliedMigrationsAsync(Stop);
        Assert.Equal(context.Database.GetMigrations(), applied);
    }

    [Fact]
    public async Task MigrateAsync_DatabaseOfANewerVersion_IsRefused()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await ExecuteAsync(registry, """INSERT INTO "__EFMigrationsHistory" VALUES ('99991231235959_FromTheFuture', '10.0.15')""");
        var refused = await Assert.ThrowsAsync<MetadataDatabaseException>(() => registry.Database.MigrateAsync(Stop));
        Assert.Contains("FromTheFuture", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MigrateAsync_DatabaseOfTheFirstVersion_KeepsItsJobsAndSaysWhatTheyLack()
    {
        using var registry = await TestRegistry.CreateEmptyAsync(database);
        using (var old = registry.Database.CreateDbContext()) await old.GetService<IMigrator>().MigrateAsync("Initial", Stop);
        var no = database == TestDatabase.Sqlite ? "0" : "false";
        await ExecuteAsync(registry, "INSERT INTO jobs (id, kind, state, input, result, created_at, finished_at, cancel_requested) "
            + $$$"""VALUES ('job-1', 'sft', 'succeeded', '{{"base":"b","created_by":"ada"}}', '{{"artifact":"a@1"}}', 1000, 2000, {{{no}}})""");
        await ExecuteAsync(registry, "INSERT INTO job_events (job_id, sequence, at, state) VALUES ('job-1', 1, 1000, 'queued')");

        await registry.Database.MigrateAsync(Stop);

        using var context = registry.Database.CreateDbContext();
        var job = await context.Jobs.SingleAsync(Stop);
        Assert.Equal(("ada", "succeeded", 3, 1, "embedded"), (job.CreatedBy, job.State, job.Priority, job.Attempts, job.Engine));
        Assert.Equal(DateTimeOffset.UnixEpoch.AddSeconds(2), job.FinishedAt);
        Assert.Equal("queued", (await context.JobEvents.SingleAsync(Stop)).State);
        context.JobLogs.Add(new JobLogRow { JobId = job.Id, Sequence = 1, At = DateTimeOffset.UnixEpoch, Level = "Information", Step = "TrainAdapter", Attempt = 1, Text = "a line" });
        await context.SaveChangesAsync(Stop);
    }

    [Fact]
    public async Task MigrateAsync_GuardOfTheAuditLogRemoved_PutsItBack()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await new AuditLog(registry.Contexts, registry.Time).AppendAsync("ada", "x", "y", JsonElement.Parse("{}"), Stop);
        await ExecuteAsync(registry, database == TestDatabase.Sqlite ? "DROP TRIGGER audit_no_delete" : "DROP TRIGGER audit_no_delete ON audit");
        await registry.Database.MigrateAsync(Stop);
        using var context = registry.Database.CreateDbContext();
        await Assert.ThrowsAnyAsync<DbException>(() => context.Audit.ExecuteDeleteAsync(Stop));
    }

    [Fact]
    public async Task FaultAsync_DatabaseThatAnswers_IsNull()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        Assert.Null(await registry.Database.FaultAsync(Stop));
    }

    [Fact]
    public async Task LockAsync_SameNameInTwoTransactions_TheSecondSeesWhatTheFirstWrote()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using (var context = registry.Database.CreateDbContext())
        {
            context.Jobs.Add(Job("counter", DateTimeOffset.UnixEpoch));
            await context.SaveChangesAsync(Stop);
        }
        await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => Task.Run(() => AddEventAsync(registry), Stop))).WaitAsync(patience, Stop);
        using var after = registry.Database.CreateDbContext();
        Assert.Equal(
            Enumerable.Range(1, 12).Select(number => (long)number),
            await after.JobEvents.OrderBy(row => row.Sequence).Select(row => row.Sequence).ToListAsync(Stop));
    }

    [Fact]
    public async Task LockAsync_WithoutATransaction_IsMisuse()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using var context = registry.Database.CreateDbContext();
        await Assert.ThrowsAsync<InvalidOperationException>(() => context.LockAsync("anything", Stop));
    }

    [Fact]
    public async Task SaveChangesAsync_EventOfAJobThatIsNotThere_IsRefused()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using var context = registry.Database.CreateDbContext();
        context.JobEvents.Add(new JobEventRow { JobId = "none", Sequence = 1, At = DateTimeOffset.UnixEpoch, State = "queued" });
        await Assert.ThrowsAsync<DbUpdateException>(() => context.SaveChangesAsync(Stop));
    }

    [Fact]
    public async Task Jobs_ByTimeAndByText_AreSortedAlikeByBothDatabases()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using var context = registry.Database.CreateDbContext();
        var noon = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        context.Jobs.AddRange(Job("b-later", noon.AddMinutes(1)), Job("Z", noon.ToOffset(TimeSpan.FromHours(5))), Job("a", noon), Job("_", noon));
        await context.SaveChangesAsync(Stop);
        context.ChangeTracker.Clear();
        var jobs = await context.Jobs.Where(job => job.CreatedAt >= noon).OrderBy(job => job.CreatedAt).ToListAsync(Stop);
        Assert.Equal(4, jobs.Count);
        Assert.Equal("b-later", jobs[^1].Id);
        Assert.Equal(noon, jobs[0].CreatedAt);
        Assert.Equal(["Z", "_", "a", "b-later"], await context.Jobs.OrderBy(job => job.Id).Select(job => job.Id).ToListAsync(Stop));
    }

    private protected static async Task ExecuteAsync(TestRegistry registry, string sql)
    {
        using var context = registry.Database.CreateDbContext();
        await context.Database.ExecuteSqlRawAsync(sql, Stop);
    }

    private static async Task AddEventAsync(TestRegistry registry)
    {
        using var context = registry.Database.CreateDbContext();
        await using var transaction = await context.Database.BeginTransactionAsync(Stop);
        await context.LockAsync("job counter", Stop);
        var last = await context.JobEvents.Where(row => row.JobId == "counter").MaxAsync(row => (long?)row.Sequence, Stop) ?? 0;
        context.JobEvents.Add(new JobEventRow { JobId = "counter", Sequence = last + 1, At = DateTimeOffset.UnixEpoch, State = "running" });
        await context.SaveChangesAsync(Stop);
        await transaction.CommitAsync(Stop);
    }

    private static JobRow Job(string id, DateTimeOffset createdAt) =>
        new() { Id = id, Kind = "sft", State = "queued", CreatedBy = "admin", Engine = "embedded", Input = "{}", CreatedAt = createdAt };
}

public sealed class MetadataDatabaseOnSqliteTests() : MetadataDatabaseTests(TestDatabase.Sqlite)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task MigrateAsync_NewFile_SurvivesPowerLoss()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        using var context = registry.Database.CreateDbContext();
        Assert.Equal(
            "wal", await context.Database.SqlQueryRaw<string>("SELECT journal_mode AS Value FROM pragma_journal_mode").SingleAsync(Stop));
        Assert.Equal(2, await context.Database.SqlQueryRaw<int>("SELECT synchronous AS Value FROM pragma_synchronous").SingleAsync(Stop));
        Assert.Equal(1, await context.Database.SqlQueryRaw<int>("SELECT foreign_keys AS Value FROM pragma_foreign_keys").SingleAsync(Stop));
    }

    [Fact]
    public async Task MigrateAsync_AfterAProcessDiedMigrating_Succeeds()
    {
        using var registry = await TestRegistry.CreateEmptyAsync(TestDatabase.Sqlite);
        await ExecuteAsync(registry, """
            CREATE TABLE "__EFMigrationsLock" ("Id" INTEGER NOT NULL PRIMARY KEY, "Timestamp" TEXT NOT NULL);
            INSERT INTO "__EFMigrationsLock" VALUES (1, '2026-01-01 00:00:00');
            """);
        await registry.Database.MigrateAsync(Stop).WaitAsync(TimeSpan.FromSeconds(60), Stop);
    }

    [Theory]
    [InlineData(5, false)]
    [InlineData(14, false)]
    [InlineData(13, true)]
    [InlineData(19, null)]
    public async Task FaultOf_ErrorBehindAnother_IsTheDatabasesWhereItIsLockedAwayOrFull(int code, bool? full)
    {
        using var home = new TempFolder();
        await using var database = MetadataDatabase.Open(new MetadataOptions(), home.File("metadata.db"));
        var fault = database.FaultOf(new DbUpdateException("not saved", new SqliteException("why", code)));
        Assert.Equal(full is { } isFull ? new DatabaseFault(isFull, "why") : null, fault);
    }

    [Fact]
    public async Task MigrateAsync_FileThatIsNoDatabase_SaysSo()
    {
        using var home = new TempFolder();
        await File.WriteAllTextAsync(home.File("metadata.db"), new string('x', 4096), Stop);
        var refused = await Assert.ThrowsAsync<MetadataDatabaseException>(
            () => MetadataDatabase.Open(new MetadataOptions(), home.File("metadata.db")).MigrateAsync(Stop));
        Assert.IsType<SqliteException>(refused.InnerException);
    }
}

public sealed class MetadataDatabaseOnPostgreSqlTests() : MetadataDatabaseTests(TestDatabase.PostgreSql)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("57P01", false)]
    [InlineData("53100", true)]
    [InlineData("23505", null)]
    public async Task FaultOf_ErrorBehindAnother_IsTheDatabasesWhereItIsAwayOrFull(string state, bool? full)
    {
        await using var database = MetadataDatabase.Open(new MetadataOptions { Provider = "postgresql", ConnectionString = "Host=nowhere" }, "unused");
        Assert.Equal(full, database.FaultOf(new DbUpdateException("not saved", new PostgresException("why", "FATAL", "FATAL", state)))?.DiskFull);
        Assert.False(database.FaultOf(new NpgsqlException("no connection"))!.DiskFull);
        Assert.Null(database.FaultOf(new InvalidOperationException("another cause")));
    }

    [Fact]
    public async Task FaultAsync_NothingListens_SaysSoWithoutThePassword()
    {
        var options = new MetadataOptions { Provider = "postgresql", ConnectionString = "Host=127.0.0.1;Port=1;Username=u;Password=s3cret;Database=d" };
        await using var database = MetadataDatabase.Open(options, "unused");
        var fault = await database.FaultAsync(Stop);
        Assert.Contains("127.0.0.1:1", fault, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", fault, StringComparison.Ordinal);
        await Assert.ThrowsAsync<MetadataDatabaseException>(() => database.MigrateAsync(Stop));
    }
}

public sealed class MetadataModelTests
{
    [Fact]
    public void Schema_OfBothDatabases_HasTheSameMigrationsAndColumns()
    {
        using var home = new TempFolder();
        var sqlite = MetadataDatabase.Open(new MetadataOptions(), home.File("metadata.db"));
        var postgres = MetadataDatabase.Open(new MetadataOptions { Provider = "postgresql", ConnectionString = "Host=nowhere" }, "unused");
        Assert.Equal(sqlite.Schema, postgres.Schema);
        Assert.Equal(Describe(sqlite), Describe(postgres));

        static IEnumerable<string> Describe(MetadataDatabase database)
        {
            using var context = database.CreateDbContext();
            var columns =
                from entity in context.Model.GetEntityTypes()
                from property in entity.GetProperties()
                select $"{entity.GetTableName()}.{property.GetColumnName()}{(property.IsNullable ? "?" : "")}";
            return [.. context.Database.GetMigrations().Select(id => id[15..]), .. columns];
        }
    }

    [Theory]
    [InlineData("sqlite", null, null)]
    [InlineData("postgresql", "Host=a;Database=b", null)]
    [InlineData("oracle", null, "sqlite or postgresql")]
    [InlineData("postgresql", null, "connection_string is missing")]
    [InlineData("postgresql", "Host=a;Nonsense=s3cret", "cannot be read")]
    [InlineData("sqlite", "Host=a", "no meaning for sqlite")]
    public void Options_Validated_NameTheFaultAndNotTheSecret(string provider, string? connectionString, string? fault)
    {
        var options = new MetadataOptions { Provider = provider, ConnectionString = connectionString };
        List<ValidationResult> faults = [];
        Validator.TryValidateObject(options, new ValidationContext(options), faults, validateAllProperties: true);
        if (fault is null)
        {
            Assert.Empty(faults);
            return;
        }
        Assert.Contains(fault, Assert.Single(faults).ErrorMessage, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", faults[0].ErrorMessage, StringComparison.Ordinal);
    }
}
