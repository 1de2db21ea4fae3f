using System.Data.Common;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace ModelOps.Registry;

/// <summary>
/// Replaces the metadata by a backup's: everything is checked before anything is changed, and all tables change in one transaction, so
/// that a process that dies on the way leaves the old state.
/// </summary>
/// <remarks>Who keeps metadata in memory must read it anew afterwards.</remarks>
public sealed class MetadataRestore(MetadataDatabase database, AuditLog audit, string keysFolder)
{
    /// <summary>What a server that was never used fills by itself: no reason to ask before replacing.</summary>
    private static readonly string[] filledAtStart = ["api_keys", "audit", "users", "sessions", "refresh_tokens"];

    /// <summary>Jobs in these states belong to a process that would go on writing them.</summary>
    private static readonly string[] unfinished = ["queued", "running", "paused"];

    /// <param name="archive">Seekable.</param>
    /// <param name="actor">Who restores, for the audit log.</param>
    /// <param name="replace">Whether what is there may go.</param>
    public async Task<RestoreOutcome> RestoreAsync(Stream archive, string actor, bool replace, CancellationToken cancellationToken = default)
    {
        using var context = database.CreateDbContext();
        var tables = MetadataTable.Of(context);
        var reading = await BackupArchive.ReadAsync(archive, database, tables, cancellationToken).ConfigureAwait(false);
        if (reading is BackupReading.Damaged damaged) return new RestoreOutcome.Damaged(damaged.Faults);
        var backup = ((BackupReading.Sound)reading).Archive;

        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using var ending = transaction.ConfigureAwait(false);
        await database.ExcludeWritersAsync(context, tables.Select(table => table.Name), cancellationToken).ConfigureAwait(false);
        if (await ObstacleAsync(context, tables, replace, cancellationToken).ConfigureAwait(false) is { } obstacle) return obstacle;
        using var keys = await RestoredKeys.StageAsync(keysFolder, backup, cancellationToken).ConfigureAwait(false);
        try
        {
            var replaced = await context.Audit.AsNoTracking().OrderBy(row => row.Sequence).LastOrDefaultAsync(cancellationToken).ConfigureAwait(false);
            await context.Database.ExecuteSqlRawAsync(database.UnguardSql, cancellationToken).ConfigureAwait(false);
            foreach (var table in tables.Reverse())
                await context.Database.ExecuteSqlRawAsync($"DELETE FROM \"{table.Name}\"", cancellationToken).ConfigureAwait(false);
            foreach (var table in tables)
                await InsertAsync(context, transaction, table, backup, cancellationToken).ConfigureAwait(false);
            await context.Database.ExecuteSqlRawAsync(database.GuardSql, cancellationToken).ConfigureAwait(false);
            await RecordAsync(context, archive, backup.Manifest, actor, replaced, keys, cancellationToken).ConfigureAwait(false);
            keys?.Keep(); // from here on the database decides
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (DbException e) when (database.IsRefusedRow(e))
        {
            return new RestoreOutcome.Damaged([$"a row is refused by the database: {e.Message}"]);
        }
        return new RestoreOutcome.Restored(
            backup.Manifest.CreatedAt, backup.Manifest.Tables.ToDictionary(table => table.Name, table => table.Rows), keys is not null);
    }

    private static async Task<RestoreOutcome?> ObstacleAsync(
        MetadataContext context, IReadOnlyList<MetadataTable> tables, bool replace, CancellationToken cancellationToken)
    {
        var jobs = await context.Jobs.Where(job => unfinished.Contains(job.State)).OrderBy(job => job.Id).Select(job => job.Id)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        if (jobs.Count > 0) return new RestoreOutcome.JobsUnfinished(jobs);
        if (replace) return null;
        var filled = new List<string>();
        foreach (var table in tables.Where(table => !filledAtStart.Contains(table.Name)))
        {
            var rows = await context.Database.SqlQueryRaw<long>($"SELECT count(*) AS \"Value\" FROM \"{table.Name}\"")
                .SingleAsync(cancellationToken).ConfigureAwait(false);
            if (rows > 0) filled.Add($"{table.Name}: {rows}");
        }
        return filled.Count == 0 ? null : new RestoreOutcome.NotEmpty(filled);
    }

    private async Task InsertAsync(
        MetadataContext context, IDbContextTransaction transaction, MetadataTable table, BackupArchive backup, CancellationToken cancellationToken)
    {
        using var command = context.Database.GetDbConnection().CreateCommand();
        command.Transaction = transaction.GetDbTransaction();
        command.CommandText =
            $"INSERT INTO \"{table.Name}\" ({string.Join(", ", table.Columns.Select(column => $"\"{column.Name}\""))}) "
            + $"VALUES ({string.Join(", ", table.Columns.Select((_, i) => $"@p{i}"))})";
        for (var i = 0; i < table.Columns.Count; i++)
        {
            var parameter = command.CreateParameter();
            parameter.ParameterName = $"@p{i}";
            parameter.DbType = table.Columns[i].Kind switch
            {
                ColumnKind.Text => System.Data.DbType.String,
                ColumnKind.Int64 => System.Data.DbType.Int64,
                ColumnKind.Int32 => System.Data.DbType.Int32,
                ColumnKind.Double => System.Data.DbType.Double,
                ColumnKind.Boolean => System.Data.DbType.Boolean,
                _ => System.Data.DbType.Binary,
            };
            command.Parameters.Add(parameter);
        }
        await foreach (var row in backup.RowsAsync(table, cancellationToken).ConfigureAwait(false))
        {
            for (var i = 0; i < row.Length; i++) command.Parameters[i].Value = row[i] ?? DBNull.Value;
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
        if (table.Identity is { } identity && database.AfterIdentityInsertSql(table.Name, identity) is { } sql)
            await context.Database.ExecuteSqlRawAsync(sql, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The first row after the restored ones; it keeps the head of the chain that was replaced.</summary>
    private async Task RecordAsync(
        MetadataContext context,
        Stream archive,
        BackupManifest manifest,
        string actor,
        AuditRow? replaced,
        RestoredKeys? keys,
        CancellationToken cancellationToken)
    {
        archive.Position = 0;
        var detail = new JsonObject
        {
            ["archive_sha256"] = Convert.ToHexStringLower(await SHA256.HashDataAsync(archive, cancellationToken).ConfigureAwait(false)),
            ["backup_created_at"] = $"{manifest.CreatedAt:O}",
            ["replaced_audit_sequence"] = replaced?.Sequence ?? 0,
            ["replaced_audit_hash"] = replaced?.Hash,
            [RestoredKeys.AuditProperty] = keys?.Id,
        };
        await audit.AddAsync(context, actor, RestoredKeys.AuditAction, "metadata", JsonElement.Parse(detail.ToJsonString()), cancellationToken)
            .ConfigureAwait(false);
        await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
    }
}

public abstract record RestoreOutcome
{
    private RestoreOutcome()
    {
    }

    /// <param name="CreatedAt">When the backup was made.</param>
    /// <param name="Rows">Per table.</param>
    /// <param name="Keys">Whether the backup's keys take the place of the installation's at the next start.</param>
    public sealed record Restored(DateTimeOffset CreatedAt, IReadOnlyDictionary<string, long> Rows, bool Keys) : RestoreOutcome;

    /// <summary>Nothing was changed.</summary>
    public sealed record Damaged(IReadOnlyList<string> Faults) : RestoreOutcome;

    /// <summary>Nothing was changed.</summary>
    /// <param name="Tables">Those with rows, and how many.</param>
    public sealed record NotEmpty(IReadOnlyList<string> Tables) : RestoreOutcome;

    /// <summary>Nothing was changed.</summary>
    public sealed record JobsUnfinished(IReadOnlyList<string> Jobs) : RestoreOutcome;
}
