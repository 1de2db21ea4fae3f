using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Optimistic commits: a version is a file that must not be there yet. Who comes second looks at what the first did and goes on top of it,
/// or is told why that cannot be.
/// </summary>
internal sealed class Committer(IObjectStore store, TablePaths paths, DeltaLog log, TimeProvider clock, Random random)
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan MaxDelay = TimeSpan.FromMilliseconds(500);

    public async Task<CommitOutcome> CommitAsync(TableTransaction transaction, CancellationToken cancellationToken)
    {
        for (var lost = 0; ; lost++)
        {
            // 1. The next version is ours if no one has it.
            if (lost > 0) await Task.Delay(Delay(lost), clock, cancellationToken).ConfigureAwait(false);
            var version = transaction.ReadVersion + 1;
            if (await TryPutAsync(version, transaction, cancellationToken).ConfigureAwait(false)) return new CommitOutcome.Committed(version);

            // 2. Someone has. On top of all that was committed since, unless something of it conflicts.
            var winner = await log.ReadCommitAsync(version, cancellationToken).ConfigureAwait(false)
                ?? throw new DeltaException($"{log.KeyOf(CommitFile.Name(version))} can be neither put nor read");
            do
            {
                if (transaction.IsCommittedAs(winner)) return new CommitOutcome.Committed(version);
                if (ConflictChecker.Check(transaction, winner, paths.Canonical) is { } conflict)
                    return new CommitOutcome.Conflict(conflict.Kind, conflict.Reason, transaction);
                transaction = transaction.Rebase(version++, winner);
            }
            while ((winner = await log.ReadCommitAsync(version, cancellationToken).ConfigureAwait(false)) is not null);
        }
    }

    /// <returns>false: another commit has the version.</returns>
    private async Task<bool> TryPutAsync(long version, TableTransaction transaction, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream(CommitFile.Render(transaction.ToLines(clock.GetUtcNow())), writable: false);
        try
        {
            return await store.PutAsync(log.KeyOf(CommitFile.Name(version)), content, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // The store may have taken it and only its answer was lost: to say that nothing was committed would be wrong.
            if (await log.ReadCommitAsync(version, cancellationToken).ConfigureAwait(false) is { } commit && transaction.IsCommittedAs(commit))
                return true;
            throw;
        }
    }

    /// <summary>Up to twice as long at each lost race, and by chance within that, so that writers part ways.</summary>
    private TimeSpan Delay(int lost) =>
        random.NextDouble() * TimeSpan.FromTicks(Math.Min(MaxDelay.Ticks, FirstDelay.Ticks << Math.Min(lost, 16)));
}
