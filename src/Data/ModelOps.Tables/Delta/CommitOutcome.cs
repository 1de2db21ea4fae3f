namespace ModelOps.Tables.Delta;

public abstract record CommitOutcome
{
    private CommitOutcome()
    {
    }

    public sealed record Committed(long Version) : CommitOutcome
    {
        /// <summary>
        /// What could not be done after the commit: the checkpoint or the clean-up of the log. Nothing is lost by that; a later commit does it.
        /// </summary>
        public string? Unfinished { get; init; }
    }

    /// <summary>Nothing was committed because nothing was to do: no row matched, or the application's version is there already.</summary>
    /// <param name="Version">Of the table that was looked at.</param>
    public sealed record Unchanged(long Version) : CommitOutcome;

    /// <summary>Another writer changed the table so that this commit may no longer fit; nothing was committed.</summary>
    /// <param name="Transaction">What was to be committed.</param>
    public sealed record Conflict(ConflictKind Kind, string Reason, TableTransaction Transaction) : CommitOutcome;
}

/// <summary>What of another writer's commit a transaction cannot go on top of.</summary>
public enum ConflictKind
{
    ProtocolChanged,
    MetadataChanged,

    /// <summary>Rows were added that the transaction should have read.</summary>
    ConcurrentAppend,

    /// <summary>A file that the transaction read was removed.</summary>
    ConcurrentDeleteRead,

    /// <summary>A file that the transaction removes was removed.</summary>
    ConcurrentDeleteDelete,

    /// <summary>The same application committed a version of its own.</summary>
    ConcurrentTransaction,

    /// <summary>The same domain's metadata was changed.</summary>
    ConcurrentDomainMetadata,
}
