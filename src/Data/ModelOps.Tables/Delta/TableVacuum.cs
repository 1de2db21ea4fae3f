using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

public sealed record VacuumOptions
{
    public const int LeastDays = 7;

    /// <summary>Files of versions that were current in this time stay.</summary>
    /// <value>The default is the table's delta.deletedFileRetentionDuration, and that of a table that does not say is 7 days.</value>
    public TimeSpan? Retention { get; init; }

    /// <summary>
    /// Lets the retention be under 7 days. That breaks readers of older versions, and destroys what slow writers are about to commit: only
    /// where no one else uses the table.
    /// </summary>
    public bool IsForced { get; init; }

    /// <summary>Only says what would be deleted.</summary>
    public bool IsDryRun { get; init; }
}

/// <param name="Files">Keys in the store.</param>
/// <param name="Bytes">Of all of them.</param>
public sealed record VacuumReport(IReadOnlyList<string> Files, long Bytes, bool IsDryRun);

/// <summary>Deletes the files of a table that no retained version has.</summary>
internal static class TableVacuum
{
    private static readonly TimeSpan Least = TimeSpan.FromDays(VacuumOptions.LeastDays);

    public static async Task<VacuumReport> RunAsync(
        DeltaTable table, VacuumOptions options, TimeProvider clock, IObjectStore store, CancellationToken cancellationToken)
    {
        var snapshot = await table.SnapshotAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        WriterFeatures.CheckWritable(table.Path, snapshot);
        var retention = options.Retention ?? new TableProperties(snapshot.Metadata.Configuration).FileRetention;
        if (retention < Least && !options.IsForced)
        {
            throw new ArgumentException(
                $"{table.Path}: a retention of {retention} is under {VacuumOptions.LeastDays} days: readers of older versions and slow writers would lose "
                    + "their files; force it only where no one else uses the table",
                nameof(options));
        }
        var retained = clock.GetUtcNow() - retention;
        var kept = Kept(table.Paths, snapshot, retained);
        var (files, bytes) = (new List<string>(), 0L);
        await foreach (var item in store.ListAsync($"{table.Path}/", cancellationToken: cancellationToken).ConfigureAwait(false))
        {
            var path = item.Key[(table.Path.Length + 1)..];
            if (IsHidden(path) || kept.Contains(item.Key) || item.ModifiedAt > retained) continue;
            files.Add(item.Key);
            bytes += item.Size;
        }
        if (!options.IsDryRun)
            foreach (var file in files) await store.DeleteAsync(file, cancellationToken).ConfigureAwait(false);
        return new(files, bytes, options.IsDryRun);
    }

    /// <summary>Keys.</summary>
    private static HashSet<string> Kept(TablePaths paths, Snapshot snapshot, DateTimeOffset retained)
    {
        var tombstones = snapshot.Tombstones.Where(tombstone => tombstone.DeletionTimestamp is not { } at || at > retained.ToUnixTimeMilliseconds()).ToList();
        var vectors = snapshot.Files.Select(file => file.DeletionVector).Concat(tombstones.Select(tombstone => tombstone.DeletionVector));
        return
        [
            .. snapshot.Files.Select(file => paths.KeyOf(file.Path)),
            .. tombstones.Select(tombstone => $"{paths.Table}/{paths.Canonical(tombstone.Path)}"),
            .. vectors.OfType<DeletionVector>().Select(vector => DeletionVectorReader.KeyOf(paths, vector)).OfType<string>(),
        ];
    }

    /// <summary>The log and what other programs keep beside the table; changed rows are the table's own.</summary>
    private static bool IsHidden(string path) => path.Split('/')
        .Any(segment => segment is not "_change_data" && segment[0] is '_' or '.' && !segment.Contains('=', StringComparison.Ordinal));
}
