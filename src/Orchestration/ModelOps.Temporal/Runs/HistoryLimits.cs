namespace ModelOps.Temporal;

/// <summary>Temporal's default limits of one history.</summary>
internal static class HistoryLimits
{
    private const long suggestedEvents = 4 * 1024;
    private const long suggestedBytes = 4 * 1024 * 1024;

    public const long MaxEvents = 50 * 1024;

    public static bool SuggestContinueAsNew(RunHistory history) => history.Count >= suggestedEvents || history.Bytes >= suggestedBytes;
}
