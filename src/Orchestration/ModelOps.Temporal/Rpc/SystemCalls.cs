namespace ModelOps.Temporal;

/// <summary>What the service says of itself: the SDKs ask before they do anything else.</summary>
internal sealed class SystemCalls(TemporalServerOptions options)
{
    private const string serverVersion = "1.29.0";

    public static Task<GetSystemInfoResponse> GetSystemInfo(GetSystemInfoRequest request, CancellationToken cancellationToken) =>
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

    public Task<DescribeNamespaceResponse> DescribeNamespace(DescribeNamespaceRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(new DescribeNamespaceResponse
        {
            NamespaceInfo = new()
            {
                Name = request.Namespace,
                Id = request.Namespace,
                State = NamespaceState.Registered,
                Capabilities = new()
                {
                    SyncUpdate = true,
                    AsyncUpdate = true,
                    WorkerPollCompleteOnShutdown = true, // else a stopping worker's last poll loses a task
                },
            },
            Config = new() { WorkflowExecutionRetentionTtl = Duration.FromTimeSpan(options.Retention) },
        });
}
