using System.Data.Common;
using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ModelOps.Registry;

/// <summary>The database behind <see cref="MetadataContext"/>, and what SQLite and PostgreSQL do differently.</summary>
public abstract class MetadataDatabase : IDbContextFactory<MetadataContext>, IAsyncDisposable
{
    private static readonly Lock preparation = new();
    private readonly Lazy<IReadOnlyList<string>> migrations;

    private protected MetadataDatabase() => migrations = new(() => MigrationsOf(ContextType));

    /// <summary>A secret.</summary>
    public abstract string ConnectionString { get; }

    /// <summary>This version's schema: the name of its last migration, the same for both databases.</summary>
    public string Schema => migrations.Value[^1][(migrations.Value[^1].IndexOf('_', StringComparison.Ordinal) + 1)..];

    /// <summary>Forbids changes of audit rows to everybody; may run twice.</summary>
    internal abstract string GuardSql { get; }

    internal abstract string UnguardSql { get; }

    protected abstract Type ContextType { get; }

    protected abstract string HasHistorySql { get; }

    protected abstract string GuardCountSql { get; }

    /// <param name="options">Valid ones.</param>
    /// <param name="sqliteFile">Where the database is when it is SQLite.</param>
    public static MetadataDatabase Open(MetadataOptions options, string sqliteFile) => options.Provider == MetadataOptions.PostgreSql
        ? new PostgresMetadata(options.ConnectionString!)
        : new SqliteMetadata(sqliteFile);

    public abstract MetadataContext CreateDbContext();

    /// <summary>
    /// Creates the tables or brings them to this version's schema. One process at a time, others wait; a database that is up to date
    /// costs two queries.
    /// </summary>
    /// <exception cref="MetadataDatabaseException">It does not answer, or a newer version of ModelOps wrote it.</exception>
    public async Task MigrateAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            if (await IsCurrentAsync(cancellationToken).ConfigureAwait(false)) return;
            var only = await LockMigrationsAsync(cancellationToken).ConfigureAwait(false);
            await using (only.ConfigureAwait(false))
            {
                if (await IsCurrentAsync(cancellationToken).ConfigureAwait(false)) return; // another process was first
                using var context = CreateDbContext();
                await PrepareMigrationAsync(context, cancellationToken).ConfigureAwait(false);
                await context.Database.MigrateAsync(cancellationToken).ConfigureAwait(false);
                await context.Database.ExecuteSqlRawAsync(GuardSql, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (DbException e)
        {
            throw new MetadataDatabaseException($"the metadata database cannot be used: {e.Message}", e);
        }
    }

    /// <summary>
    /// Makes what the first query of any instance needs, without connecting. Before two threads query: EF Core makes the tables' model with the
    /// first query, and one that comes just when it is ready fails (<c>ModelNotFinalized</c>).
    /// </summary>
    public void Prepare()
    {
        using var context = CreateDbContext();
        lock (preparation) _ = context.Model.GetRelationalModel();
    }

    /// <summary>Whether it answers.</summary>
    /// <returns>null: yes; else why not.</returns>
    public async Task<string?> FaultAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            var connection = await OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                await ScalarAsync<object>(connection, "SELECT 1", cancellationToken).ConfigureAwait(false);
                return null;
            }
        }
        catch (DbException e)
        {
            return e.Message;
        }
    }

    /// <summary>What an error says of the database itself: it does not answer, is locked, or its disk is full.</summary>
    /// <returns>null: its cause is another.</returns>
    public DatabaseFault? FaultOf(Exception error)
    {
        for (var cause = error; cause is not null; cause = cause.InnerException)
            if (cause is DbException asked) return IsDiskFull(asked) ? new(DiskFull: true, asked.Message) : IsAway(asked) ? new(DiskFull: false, asked.Message) : null;
        return null;
    }

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    internal async Task<DbConnection> OpenConnectionAsync(CancellationToken cancellationToken)
    {
        var connection = CreateConnection();
        try
        {
            await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>A transaction in which every read sees the same moment.</summary>
    internal abstract Task<DbTransaction> BeginSnapshotAsync(DbConnection connection, CancellationToken cancellationToken);

    /// <summary>Until the context's transaction ends, only it writes.</summary>
    internal abstract Task ExcludeWritersAsync(MetadataContext context, IEnumerable<string> tables, CancellationToken cancellationToken);

    /// <returns>What makes the column's next value follow on the rows that were inserted with values of their own.</returns>
    internal abstract string? AfterIdentityInsertSql(string table, string column);

    /// <summary>Whether the database refused the row for what is in it.</summary>
    internal abstract bool IsRefusedRow(DbException exception);

    protected abstract bool IsAway(DbException exception);

    protected abstract bool IsDiskFull(DbException exception);

    protected abstract DbConnection CreateConnection();

    protected abstract Task<IAsyncDisposable> LockMigrationsAsync(CancellationToken cancellationToken);

    protected abstract Task PrepareMigrationAsync(MetadataContext context, CancellationToken cancellationToken);

    /// <summary>Asks the database directly: EF Core's way builds its model and services first, most of a warm start.</summary>
    private async Task<bool> IsCurrentAsync(CancellationToken cancellationToken)
    {
        var connection = await OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            if (await ScalarAsync<long>(connection, HasHistorySql, cancellationToken).ConfigureAwait(false) == 0) return false;
            var last = await ScalarAsync<string>(
                connection, """SELECT max("MigrationId") FROM "__EFMigrationsHistory" """, cancellationToken).ConfigureAwait(false);
            if (last is not null && !migrations.Value.Contains(last))
                throw new MetadataDatabaseException(
                    $"the metadata database has the schema {last}, which this version of ModelOps does not know: a newer one wrote it; start that one");
            return last == migrations.Value[^1]
                && await ScalarAsync<long>(connection, GuardCountSql, cancellationToken).ConfigureAwait(false) == 2;
        }
    }

    private static async Task<T?> ScalarAsync<T>(DbConnection connection, string sql, CancellationToken cancellationToken)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is T value ? value : default;
    }

    private static List<string> MigrationsOf(Type context) =>
    [
        .. typeof(MetadataDatabase).Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(Migration)) && type.GetCustomAttribute<DbContextAttribute>()?.ContextType == context)
            .Select(type => type.GetCustomAttribute<MigrationAttribute>()!.Id)
            .Order(StringComparer.Ordinal),
    ];
}

/// <param name="DiskFull">Else it does not answer.</param>
/// <param name="Message">The database's own.</param>
public sealed record DatabaseFault(bool DiskFull, string Message);

/// <summary>The metadata database cannot be used, for a reason that its user can mend.</summary>
public sealed class MetadataDatabaseException(string message, Exception? cause = null) : Exception(message, cause);
