using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>Makes the rows and columns of an older version current again, in a new version.</summary>
internal static class TableRestoration
{
    public static Task<CommitOutcome> RunAsync(
        DeltaTable table, Func<Task<Snapshot>> older, WriteOptions options, IObjectStore store, CancellationToken cancellationToken)
    {
        return PlannedCommit.RunAsync(table, options, PlanAsync, cancellationToken);

        async Task<TableTransaction?> PlanAsync(Snapshot snapshot)
        {
            WriterFeatures.CheckRemovable(table.Path, snapshot);
            var wanted = await older().ConfigureAwait(false);
            var added = wanted.Files.ExceptBy(snapshot.Files.Select(table.IdentityOf), table.IdentityOf).ToList();
            var removed = snapshot.Files.ExceptBy(wanted.Files.Select(table.IdentityOf), table.IdentityOf).ToList();
            await ThrowIfGoneAsync(table, wanted.Version, added, store, cancellationToken).ConfigureAwait(false);
            var isSame = CommitFile.Render([new() { MetaData = wanted.Metadata }]).AsSpan()
                .SequenceEqual(CommitFile.Render([new() { MetaData = snapshot.Metadata }]));
            if (isSame && added.Count == 0 && removed.Count == 0) return null;
            return new TableTransaction(snapshot, "RESTORE", options,
            [
                .. isSame ? [] : new LogLine[] { new() { MetaData = wanted.Metadata } },
                .. removed.Select(file => table.DataFiles.Remove(file, dataChange: true)),
                .. added.Select(file => new LogLine { Add = file with { DataChange = true } }),
            ])
            {
                BringsBackFiles = true,
                Reads = TransactionReads.WholeTable,
                Parameters = new Dictionary<string, string>(StringComparer.Ordinal) { ["version"] = $"{wanted.Version}" },
                Metrics = new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    ["numRestoredFiles"] = $"{added.Count}",
                    ["numRemovedFiles"] = $"{removed.Count}",
                },
            };
        }
    }

    private static async Task ThrowIfGoneAsync(
        DeltaTable table, long version, List<AddFile> files, IObjectStore store, CancellationToken cancellationToken)
    {
        var gone = new List<string>();
        foreach (var file in files)
            if (await store.HeadAsync(table.KeyOf(file), cancellationToken).ConfigureAwait(false) is null) gone.Add(file.Path);
        if (gone.Count > 0)
            throw new DeltaException($"{table.Path} cannot be restored to version {version}: {gone.Count} of its files were vacuumed ({gone[0]})");
    }
}
