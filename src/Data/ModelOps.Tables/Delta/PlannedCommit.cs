namespace ModelOps.Tables.Delta;

/// <summary>
/// An operation on a table: planned on the table as it is, committed if no other writer changed what the plan looked at, otherwise planned
/// again on what the others left, which is as if it had begun after them.
/// </summary>
internal static class PlannedCommit
{
    /// <param name="plan">null: there is nothing to do.</param>
    public static async Task<CommitOutcome> RunAsync(
        DeltaTable table, WriteOptions options, Func<Snapshot, Task<TableTransaction?>> plan, CancellationToken cancellationToken)
    {
        for (var replans = 0; ; replans++)
        {
            // 1. May this writer write the table at all, and has it not done this already?
            var snapshot = await table.SnapshotAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
            WriterFeatures.CheckWritable(table.Path, snapshot);
            if (IsDone(snapshot, options.Application)) return new CommitOutcome.Unchanged(snapshot.Version);

            // 2. What is to be done, its files included.
            if (await plan(snapshot).ConfigureAwait(false) is not { } transaction) return new CommitOutcome.Unchanged(snapshot.Version);

            // 3. The commit.
            var outcome = await table.Committer.CommitAsync(transaction, cancellationToken).ConfigureAwait(false);
            if (outcome is CommitOutcome.Committed committed)
                return committed with { Unfinished = await table.Upkeep.RunAsync(committed.Version, transaction.Properties, cancellationToken).ConfigureAwait(false) };

            // 4. Refused: nothing of it stays.
            await table.DataFiles.DiscardAsync(transaction, cancellationToken).ConfigureAwait(false);
            if (outcome is CommitOutcome.Conflict conflict && (replans == options.MaxReplans || !CanPlanAgain(conflict.Kind))) return conflict;
        }
    }

    private static bool IsDone(Snapshot snapshot, ApplicationVersion? application) =>
        application is not null
        && snapshot.Transactions.TryGetValue(application.Id, out var done)
        && done.Version >= application.Version;

    /// <summary>What was asked for may mean something else once the schema or the protocol is another: that is the caller's to decide.</summary>
    private static bool CanPlanAgain(ConflictKind kind) => kind is not (ConflictKind.MetadataChanged or ConflictKind.ProtocolChanged);
}
