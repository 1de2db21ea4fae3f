namespace ModelOps.Temporal;

/// <summary>When a worker is advised to continue its workflow as a new run: Temporal's defaults.</summary>
internal static class HistoryLimits
{
    private const long suggestedEvents = 4 * 1024;
    private const long suggestedBytes = 4 * 1024 * 1024;

    public static bool SuggestContinueAsNew(RunHistory history) => history.Count >= suggestedEvents || history.Bytes >= suggestedBytes;
}
