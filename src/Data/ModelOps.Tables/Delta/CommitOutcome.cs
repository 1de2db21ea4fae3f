namespace ModelOps.Tables.Delta;

public abstract record CommitOutcome
{
    private CommitOutcome()
    {
    }

    public sealed record Committed(long Version) : CommitOutcome;

    /// <summary>Another writer changed the table so that the rows may no longer fit; nothing was committed.</summary>
    public sealed record Conflict(string Reason) : CommitOutcome;
}
