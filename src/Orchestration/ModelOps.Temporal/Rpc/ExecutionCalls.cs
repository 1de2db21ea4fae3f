namespace ModelOps.Temporal;

/// <summary>Starting runs and acting on them.</summary>
internal sealed class ExecutionCalls(Engine engine)
{
    private static readonly TimeSpan defaultWorkflowTaskTimeout = TimeSpan.FromSeconds(10);

    public async Task<StartWorkflowExecutionResponse> StartAsync(StartWorkflowExecutionRequest request, CancellationToken cancellationToken)
    {
        var response = engine.Transact(() => Start(request));
        await engine.DurableAsync().ConfigureAwait(false);
        return response;
    }

    private StartWorkflowExecutionResponse Start(StartWorkflowExecutionRequest request)
    {
        if (engine.FindRow(request.Namespace, request.WorkflowId, "") is { } latest)
        {
            if (latest.RequestId == request.RequestId)
                return new() { RunId = latest.Key.RunId, Started = true, Status = latest.Status };
            if (latest.Status == WorkflowExecutionStatus.Running)
                throw RpcErrors.AlreadyStarted(latest);
        }
        var key = new RunKey(request.Namespace, request.WorkflowId, $"{Guid.NewGuid()}");
        var run = engine.Start(key, request.RequestId, new()
        {
            WorkflowType = request.WorkflowType,
            TaskQueue = request.TaskQueue,
            Input = request.Input,
            WorkflowExecutionTimeout = request.WorkflowExecutionTimeout,
            WorkflowRunTimeout = request.WorkflowRunTimeout,
            WorkflowTaskTimeout = request.WorkflowTaskTimeout.IsSet()
                ? request.WorkflowTaskTimeout
                : Duration.FromTimeSpan(defaultWorkflowTaskTimeout),
            OriginalExecutionRunId = key.RunId,
            FirstExecutionRunId = key.RunId,
            Identity = request.Identity,
            RetryPolicy = request.RetryPolicy,
            Attempt = 1,
            Memo = request.Memo,
            SearchAttributes = request.SearchAttributes,
            Header = request.Header,
            WorkflowId = request.WorkflowId,
            Priority = request.Priority,
        });
        return new() { RunId = run.Key.RunId, FirstExecutionRunId = run.Key.RunId, Started = true, Status = WorkflowExecutionStatus.Running };
    }
}
