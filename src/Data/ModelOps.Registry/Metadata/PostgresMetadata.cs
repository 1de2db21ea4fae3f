using System.Buffers.Binary;
using System.Data;
using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Npgsql;

namespace ModelOps.Registry;

public sealed class PostgresMetadataContext(DbContextOptions options) : MetadataContext(options)
{
    /// <summary>The advisory lock of a name: names share locks with no other program by the 64 bits of their digest.</summary>
    internal static long LockKey(string what) =>
        BinaryPrimitives.ReadInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"modelops {what}")));

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        base.ConfigureConventions(configurationBuilder);
        configurationBuilder.Properties<string>().UseCollation("C"); // the order of bytes, as in SQLite, whatever the server's locale
    }

    private protected override Task LockInTransactionAsync(string what, CancellationToken cancellationToken)
    {
        var key = LockKey(what);
        return Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock({key})", cancellationToken);
    }
}

/// <summary>A PostgreSQL database, 14 or later.</summary>
internal sealed class PostgresMetadata : MetadataDatabase
{
    private readonly NpgsqlDataSource source;
    private readonly DbContextOptions options;

    public PostgresMetadata(string connectionString)
    {
        var connection = new NpgsqlConnectionStringBuilder(connectionString);
        connection.ApplicationName ??= "ModelOps";
        ConnectionString = connection.ToString();
        source = NpgsqlDataSource.Create(connection);
        options = new DbContextOptionsBuilder().UseNpgsql(source).Options;
    }

    public override string ConnectionString { get; }

    internal override string GuardSql => """
        CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'audit rows are never changed or deleted'; END $$;
        CREATE OR REPLACE TRIGGER audit_no_update BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
        CREATE OR REPLACE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
        CREATE OR REPLACE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit EXECUTE FUNCTION audit_is_append_only();
        """;

    internal override string UnguardSql => """
        DROP TRIGGER IF EXISTS audit_no_update ON audit;
        DROP TRIGGER IF EXISTS audit_no_delete ON audit;
        DROP TRIGGER IF EXISTS audit_no_truncate ON audit;
        """;

    protected override Type ContextType => typeof(PostgresMetadataContext);

    protected override string HasHistorySql => """SELECT count(to_regclass('"__EFMigrationsHistory"'))""";

    protected override string GuardCountSql =>
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass('audit') AND tgname IN ('audit_no_update', 'audit_no_delete')";

    public override MetadataContext CreateDbContext() => new PostgresMetadataContext(options);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(false);
        await source.DisposeAsync().ConfigureAwait(false);
    }

    internal override async Task<DbTransaction> BeginSnapshotAsync(DbConnection connection, CancellationToken cancellationToken) =>
        await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken).ConfigureAwait(false);

    // Others go on reading what was before; writers wait for the end of the transaction.
    internal override Task ExcludeWritersAsync(MetadataContext context, IEnumerable<string> tables, CancellationToken cancellationToken) =>
        context.Database.ExecuteSqlRawAsync(
            $"LOCK TABLE {string.Join(", ", tables.Select(table => $"\"{table}\""))} IN EXCLUSIVE MODE", cancellationToken);

    internal override string? AfterIdentityInsertSql(string table, string column) =>
        $"""SELECT setval(pg_get_serial_sequence('"{table}"', '{column}'), coalesce(max("{column}"), 0) + 1, false) FROM "{table}" """;

    // Class 22: a value that the type cannot hold; class 23: a constraint.
    internal override bool IsRefusedRow(DbException exception) => exception is PostgresException { SqlState: ['2', '2' or '3', ..] };

    // No answer at all; class 08: no connection; 53: no resources; 57: an administrator stops it.
    protected override bool IsAway(DbException exception) =>
        exception is NpgsqlException and not PostgresException or PostgresException { SqlState: ['0', '8', ..] or ['5', '3' or '7', ..] };

    protected override bool IsDiskFull(DbException exception) => exception is PostgresException { SqlState: PostgresErrorCodes.DiskFull };

    protected override DbConnection CreateConnection() => source.CreateConnection();

    /// <summary>A lock of the session: the server frees it when the connection ends, however it ends.</summary>
    protected override async Task<IAsyncDisposable> LockMigrationsAsync(CancellationToken cancellationToken)
    {
        var connection = await source.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            using var command = connection.CreateCommand();
            command.CommandText = $"SELECT pg_advisory_lock({PostgresMetadataContext.LockKey("migrations")})";
            command.CommandTimeout = 0; // another server's long migration is waited for
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            return new SessionLock(connection);
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    protected override Task PrepareMigrationAsync(MetadataContext context, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Unlocks by hand: the connection goes back to the pool, where its session lives on.</summary>
    private sealed class SessionLock(NpgsqlConnection connection) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await using (connection.ConfigureAwait(false))
            {
                using var command = connection.CreateCommand();
                command.CommandText = $"SELECT pg_advisory_unlock({PostgresMetadataContext.LockKey("migrations")})";
                await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Lets <c>dotnet ef migrations add</c> make a context; it connects to nothing.</summary>
    internal sealed class DesignTime : IDesignTimeDbContextFactory<PostgresMetadataContext>
    {
        public PostgresMetadataContext CreateDbContext(string[] args) =>
            new(new DbContextOptionsBuilder().UseNpgsql("Host=design-time").Options);
    }
}
