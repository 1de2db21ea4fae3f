using System.Text.Json;

namespace ModelOps.Tables.Delta;

/// <summary>Many small files into few large ones; no row changes (OPTIMIZE).</summary>
internal static class TableCompaction
{
    public const long DefaultTargetBytes = 128L << 20;

    /// <param name="where">SQL on partition columns; null: the whole table.</param>
    public static Task<CommitOutcome> RunAsync(
        DeltaTable table, string? where, long targetBytes, WriteOptions options, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(targetBytes);
        return PlannedCommit.RunAsync(table, options, PlanAsync, cancellationToken);

        async Task<TableTransaction?> PlanAsync(Snapshot snapshot)
        {
            var bins = Bins(Chosen(table, snapshot, where), targetBytes);
            if (bins.Count == 0) return null;
            var staging = StagedRows.OptionsFor(snapshot);
            var actions = new List<LogLine>();
            foreach (var bin in bins)
            {
                using var rows = new StagedRows(snapshot.Schema, staging);
                await foreach (var batch in table.ReadFilesAsync(snapshot, bin, columns: null, cancellationToken).ConfigureAwait(false))
                    using (batch) rows.Write(batch);
                actions.AddRange(bin.Select(file => table.DataFiles.Remove(file, dataChange: false)));
                actions.AddRange(await table.DataFiles.AddAsync(rows, dataChange: false, cancellationToken).ConfigureAwait(false));
            }
            return new TableTransaction(snapshot, "OPTIMIZE", options, actions)
            {
                Reads = new() { Files = [.. bins.SelectMany(bin => bin)] },
                Parameters = new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    ["predicate"] = JsonSerializer.Serialize(where is null ? [] : [where], DeltaJson.Default.IReadOnlyListString),
                    ["targetSize"] = $"{targetBytes}",
                },
                Metrics = new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    ["numRemovedFiles"] = $"{bins.Sum(bin => bin.Count)}",
                    ["numRemovedBytes"] = $"{bins.Sum(bin => bin.Sum(file => file.Size))}",
                    ["numAddedFiles"] = $"{actions.Count(action => action.Add is not null)}",
                    ["numAddedBytes"] = $"{actions.Sum(action => action.Add?.Size ?? 0)}",
                },
            };
        }
    }

    private static IEnumerable<AddFile> Chosen(DeltaTable table, Snapshot snapshot, string? where)
    {
        if (where is null) return snapshot.Files;
        var predicate = Predicate.Parse(where, snapshot.Schema);
        var others = predicate.Columns.Except(snapshot.PartitionColumns, StringComparer.Ordinal).ToList();
        return others.Count == 0
            ? FileSkipping.Matching(snapshot, predicate)
            : throw new ArgumentException($"files of {table.Path} are chosen by partition columns, not by {string.Join(", ", others)}", nameof(where));
    }

    /// <summary>Files of one partition, in the order of the table, up to the size; those that are large already stay, but for their deleted rows.</summary>
    private static List<List<AddFile>> Bins(IEnumerable<AddFile> files, long targetBytes)
    {
        var bins = new List<List<AddFile>>();
        foreach (var partition in files.GroupBy(file => PartitionPath.Folder(file.PartitionValues), StringComparer.Ordinal))
        {
            var (bin, bytes) = (new List<AddFile>(), 0L);
            foreach (var file in partition.Where(file => file.Size < targetBytes || file.DeletionVector is not null))
            {
                if (bytes > 0 && bytes + file.Size > targetBytes)
                {
                    bins.Add(bin);
                    (bin, bytes) = ([], 0);
                }
                bin.Add(file);
                bytes += file.Size;
            }
            bins.Add(bin);
        }
        return bins.FindAll(bin => bin.Count > 1 || (bin.Count == 1 && bin[0].DeletionVector is not null));
    }
}
