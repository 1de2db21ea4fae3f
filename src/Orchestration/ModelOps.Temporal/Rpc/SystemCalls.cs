namespace ModelOps.Temporal;

/// <summary>What the service says of itself: the SDKs ask before they do anything else.</summary>
internal static class SystemCalls
{
    private const string serverVersion = "1.29.0";

    public static Task<GetSystemInfoResponse> GetSystemInfoAsync(GetSystemInfoRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(new GetSystemInfoResponse
        {
            ServerVersion = serverVersion,
            Capabilities = new()
            {
                SignalAndQueryHeader = true,
                InternalErrorDifferentiation = true,
                ActivityFailureIncludeHeartbeat = true,
                SupportsSchedules = true,
                EncodedFailureAttributes = true,
                UpsertMemo = true,
                SdkMetadata = true, // without it the SDKs do not remember which flags a workflow began with
                CountGroupByExecutionStatus = true,
            },
        });

    public static Task<GetClusterInfoResponse> GetClusterInfoAsync(GetClusterInfoRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(new GetClusterInfoResponse
        {
            ServerVersion = serverVersion,
            ClusterName = "embedded",
            ClusterId = "embedded",
            HistoryShardCount = 1,
            PersistenceStore = "sqlite",
            VisibilityStore = "sqlite",
        });
}
