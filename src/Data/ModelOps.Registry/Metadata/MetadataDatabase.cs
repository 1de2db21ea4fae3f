using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace ModelOps.Registry;

/// <summary>The SQLite file behind <see cref="MetadataContext"/>.</summary>
public static class MetadataDatabase
{
    private static readonly TimeSpan lockPoll = TimeSpan.FromMilliseconds(50);

    /// <summary>Write-ahead log, foreign keys on, every commit fsynced, writers wait up to 30 s for each other.</summary>
    public static DbContextOptions<MetadataContext> Options(string path) => new DbContextOptionsBuilder<MetadataContext>()
        .UseSqlite(new SqliteConnectionStringBuilder { DataSource = path, ForeignKeys = true, DefaultTimeout = 30 }.ToString())
        .AddInterceptors(SynchronousFull.Instance)
        .Options;

    /// <summary>
    /// Creates the database or brings it to this version's schema. One process at a time: others wait for <c>PATH.lock</c>.
    /// </summary>
    public static async Task MigrateAsync(string path, CancellationToken cancellationToken = default)
    {
        using var only = await LockAsync($"{path}.lock", cancellationToken).ConfigureAwait(false);
        using var context = new MetadataContext(Options(path));
        // EF Core's own lock row outlives a killed process and would block every later start; under our lock it can only be a left-over.
        await context.Database.ExecuteSqlRawAsync("""DROP TABLE IF EXISTS "__EFMigrationsLock";""", cancellationToken)
            .ConfigureAwait(false);
        await context.Database.ExecuteSqlRawAsync("PRAGMA journal_mode = WAL;", cancellationToken).ConfigureAwait(false);
        await context.Database.MigrateAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The kernel frees this lock when its process ends, however it ends.</summary>
    private static async Task<FileStream> LockAsync(string path, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(path))
            {
                await Task.Delay(lockPoll, cancellationToken).ConfigureAwait(false);
            }
        }
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
}
