namespace ModelOps.Tables.Delta;

internal sealed record TransactionConflict(ConflictKind Kind, string Reason);

/// <summary>
/// Whether a transaction may go on top of a commit that it did not see: the isolation rules of Delta Lake (docs.delta.io, "Concurrency
/// control"). Pure: what was read and what was written decide, nothing else.
/// </summary>
internal static class ConflictChecker
{
    /// <param name="winner">The actions of the commit that took the version.</param>
    /// <param name="canonical">Makes one text of the spellings of a path.</param>
    /// <returns>null: it may.</returns>
    public static TransactionConflict? Check(TableTransaction transaction, IReadOnlyList<LogLine> winner, Func<string, string> canonical) =>
        // 1. Files already written may break what the table now asks for.
        ProtocolChange(winner)
        ?? MetadataChange(winner)
        // 2. What was read must still be all that there is to read.
        ?? AddedFile(transaction, winner)
        ?? RemovedFile(transaction, winner, canonical)
        // 3. What is written must not be written twice.
        ?? RemovedTwice(transaction, winner, canonical)
        ?? SameApplication(transaction, winner)
        ?? SameDomain(transaction, winner);

    private static TransactionConflict? ProtocolChange(IReadOnlyList<LogLine> winner) => winner.Any(line => line.Protocol is not null)
        ? new(ConflictKind.ProtocolChanged, "another writer changed the protocol of the table")
        : null;

    private static TransactionConflict? MetadataChange(IReadOnlyList<LogLine> winner) => winner.Any(line => line.MetaData is not null)
        ? new(ConflictKind.MetadataChanged, "another writer changed the schema or the properties of the table")
        : null;

    private static TransactionConflict? AddedFile(TableTransaction transaction, IReadOnlyList<LogLine> winner)
    {
        if (transaction.Isolation == IsolationLevel.SnapshotIsolation) return null;
        if (transaction.Isolation == IsolationLevel.WriteSerializable && IsBlindAppend(winner)) return null;
        // Rows that were only moved come from files that the same commit removed: those are looked at for themselves.
        var added = winner.Select(line => line.Add).OfType<AddFile>().FirstOrDefault(add => add.DataChange && HasRead(transaction, add));
        return added is null ? null : new(ConflictKind.ConcurrentAppend, $"another writer added rows that this one should have read ({added.Path})");
    }

    private static bool HasRead(TableTransaction transaction, AddFile added) =>
        transaction.Reads.IsWholeTable
        || transaction.Reads.Predicates.Any(predicate => FileSkipping.MayMatch(transaction.Snapshot, predicate, added));

    private static TransactionConflict? RemovedFile(
        TableTransaction transaction, IReadOnlyList<LogLine> winner, Func<string, string> canonical)
    {
        var read = transaction.Reads.Files.Select(file => canonical(file.Path)).ToHashSet(StringComparer.Ordinal);
        var removed = winner.Select(line => line.Remove).OfType<RemoveFile>()
            .FirstOrDefault(remove => transaction.Reads.IsWholeTable || read.Contains(canonical(remove.Path)));
        return removed is null ? null : new(ConflictKind.ConcurrentDeleteRead, $"another writer removed a file that this one read ({removed.Path})");
    }

    private static TransactionConflict? RemovedTwice(
        TableTransaction transaction, IReadOnlyList<LogLine> winner, Func<string, string> canonical)
    {
        var twice = Removed(transaction.Actions).Select(canonical).Intersect(Removed(winner).Select(canonical), StringComparer.Ordinal).FirstOrDefault();
        return twice is null ? null : new(ConflictKind.ConcurrentDeleteDelete, $"another writer removed a file that this one removes ({twice})");
    }

    private static TransactionConflict? SameApplication(TableTransaction transaction, IReadOnlyList<LogLine> winner)
    {
        var same = Applications(transaction.Actions).Intersect(Applications(winner), StringComparer.Ordinal).FirstOrDefault();
        return same is null ? null : new(ConflictKind.ConcurrentTransaction, $"another writer of the application {same} committed a version of its own");
    }

    private static TransactionConflict? SameDomain(TableTransaction transaction, IReadOnlyList<LogLine> winner)
    {
        var same = Domains(transaction.Actions).Intersect(Domains(winner), StringComparer.Ordinal).FirstOrDefault();
        return same is null ? null : new(ConflictKind.ConcurrentDomainMetadata, $"another writer changed the metadata of the domain {same}");
    }

    /// <summary>As its writer says; of a commit that does not say, the worse is taken.</summary>
    private static bool IsBlindAppend(IReadOnlyList<LogLine> winner) =>
        winner.Any(line => line.CommitInfo is { } info && CommitInfo.From(info).IsBlindAppend == true);

    private static IEnumerable<string> Removed(IReadOnlyList<LogLine> lines) =>
        lines.Select(line => line.Remove).OfType<RemoveFile>().Select(remove => remove.Path);

    private static IEnumerable<string> Applications(IReadOnlyList<LogLine> lines) =>
        lines.Select(line => line.Txn).OfType<Transaction>().Select(transaction => transaction.AppId);

    private static IEnumerable<string> Domains(IReadOnlyList<LogLine> lines) =>
        lines.Select(line => line.DomainMetadata).OfType<DomainMetadata>().Select(domain => domain.Domain);
}
