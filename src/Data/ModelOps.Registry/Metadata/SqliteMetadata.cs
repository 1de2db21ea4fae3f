using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace ModelOps.Registry;

public sealed class SqliteMetadataContext(DbContextOptions options) : MetadataContext(options)
{
    // Transactions begin immediate here: there is one writer at a time, and it reads what is.
    private protected override Task LockInTransactionAsync(string what, CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>A SQLite file: write-ahead log, foreign keys on, every commit fsynced, writers wait up to 30 s for each other.</summary>
internal sealed class SqliteMetadata : MetadataDatabase
{
    private const int ConstraintViolated = 19; // SQLITE_CONSTRAINT
    private const int DiskIsFull = 13; // SQLITE_FULL
    private static readonly TimeSpan lockPoll = TimeSpan.FromMilliseconds(50);
    private readonly string path;
    private readonly DbContextOptions options;

    public SqliteMetadata(string path)
    {
        this.path = path;
        ConnectionString = new SqliteConnectionStringBuilder { DataSource = path, ForeignKeys = true, DefaultTimeout = 30 }.ToString();
        options = new DbContextOptionsBuilder().UseSqlite(ConnectionString).AddInterceptors(SynchronousFull.Instance).Options;
    }

    public override string ConnectionString { get; }

    internal override string GuardSql => """
        CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
        CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
        """;

    internal override string UnguardSql => "DROP TRIGGER IF EXISTS audit_no_update; DROP TRIGGER IF EXISTS audit_no_delete;";

    protected override Type ContextType => typeof(SqliteMetadataContext);

    protected override string HasHistorySql => "SELECT count(*) FROM sqlite_master WHERE name = '__EFMigrationsHistory'";

    protected override string GuardCountSql =>
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN ('audit_no_update', 'audit_no_delete')";

    public override MetadataContext CreateDbContext() => new SqliteMetadataContext(options);

    // Deferred: the first read takes the snapshot and no writer waits for it.
    internal override Task<DbTransaction> BeginSnapshotAsync(DbConnection connection, CancellationToken cancellationToken) =>
#pragma warning disable CA1849 // there is no asynchronous one that is deferred, and it waits for nothing
        Task.FromResult<DbTransaction>(((SqliteConnection)connection).BeginTransaction(deferred: true));
#pragma warning restore CA1849

    // The transaction began immediate: nobody else writes.
    internal override Task ExcludeWritersAsync(
        MetadataContext context, IEnumerable<string> tables, CancellationToken cancellationToken) => Task.CompletedTask;

    internal override string? AfterIdentityInsertSql(string table, string column) => null; // AUTOINCREMENT counts on from the largest

    internal override bool IsRefusedRow(DbException exception) => exception is SqliteException { SqliteErrorCode: ConstraintViolated };

    // SQLITE_BUSY, LOCKED, READONLY, IOERR, CANTOPEN
    protected override bool IsAway(DbException exception) => exception is SqliteException { SqliteErrorCode: 5 or 6 or 8 or 10 or 14 };

    protected override bool IsDiskFull(DbException exception) => exception is SqliteException { SqliteErrorCode: DiskIsFull };

    protected override DbConnection CreateConnection() => new SqliteConnection(ConnectionString);

    /// <summary>The kernel frees the lock on <c>PATH.lock</c> when its process ends, however it ends.</summary>
    protected override async Task<IAsyncDisposable> LockMigrationsAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return new FileStream($"{path}.lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists($"{path}.lock"))
            {
                await Task.Delay(lockPoll, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    protected override async Task PrepareMigrationAsync(MetadataContext context, CancellationToken cancellationToken)
    {
        // EF Core's own lock row outlives a killed process and would block every later start; under our lock it can only be a left-over.
        await context.Database.ExecuteSqlRawAsync("""DROP TABLE IF EXISTS "__EFMigrationsLock";""", cancellationToken)
            .ConfigureAwait(false);
        await context.Database.ExecuteSqlRawAsync("PRAGMA journal_mode = WAL;", cancellationToken).ConfigureAwait(false);
    }

    private sealed class SynchronousFull : DbConnectionInterceptor
    {
        private const string pragma = "PRAGMA synchronous = FULL;";

        public static SynchronousFull Instance { get; } = new();

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            using var command = connection.CreateCommand();
            command.CommandText = pragma;
            command.ExecuteNonQuery();
        }

        public override async Task ConnectionOpenedAsync(
            DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            using var command = connection.CreateCommand();
            command.CommandText = pragma;
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Lets <c>dotnet ef migrations add</c> make a context; it opens no file.</summary>
    internal sealed class DesignTime : IDesignTimeDbContextFactory<SqliteMetadataContext>
    {
        public SqliteMetadataContext CreateDbContext(string[] args) =>
            new(new DbContextOptionsBuilder().UseSqlite("Data Source=design-time.db").Options);
    }
}
