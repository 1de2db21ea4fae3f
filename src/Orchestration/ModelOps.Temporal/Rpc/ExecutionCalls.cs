namespace ModelOps.Temporal;

/// <summary>Acting on a run: signal, cancel, terminate, reset, delete; and describing it.</summary>
internal sealed class ExecutionCalls(Engine engine)
{
    public Task<SignalWorkflowExecutionResponse> SignalAsync(SignalWorkflowExecutionRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            Open(request.Namespace, request.WorkflowExecution).Signals.Receive(new()
            {
                WorkflowExecutionSignaledEventAttributes = new()
                {
                    SignalName = request.SignalName,
                    Input = request.Input,
                    Identity = request.Identity,
                    Header = request.Header,
                    RequestId = request.RequestId,
                },
                Links = { request.Links },
            });
            return new SignalWorkflowExecutionResponse();
        });

    public Task<RequestCancelWorkflowExecutionResponse> RequestCancelAsync(
        RequestCancelWorkflowExecutionRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        Open(request.Namespace, request.WorkflowExecution, request.FirstExecutionRunId).Signals.RequestCancel(
            new() { Cause = request.Reason, Identity = request.Identity });
        return new RequestCancelWorkflowExecutionResponse();
    });

    public Task<TerminateWorkflowExecutionResponse> TerminateAsync(
        TerminateWorkflowExecutionRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        Open(request.Namespace, request.WorkflowExecution, request.FirstExecutionRunId)
            .Lifetime.Terminate(request.Reason, request.Details, request.Identity);
        return new TerminateWorkflowExecutionResponse();
    });

    /// <summary>Deletes a run with its history; an open one is terminated first.</summary>
    public Task<DeleteWorkflowExecutionResponse> DeleteAsync(
        DeleteWorkflowExecutionRequest request, CancellationToken cancellationToken) => DeleteAsync(request);

    public Task<ResetWorkflowExecutionResponse> ResetAsync(ResetWorkflowExecutionRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() => new ResetWorkflowExecutionResponse { RunId = Resets.Reset(engine, request).Key.RunId });

    public Task<DescribeWorkflowExecutionResponse> DescribeAsync(
        DescribeWorkflowExecutionRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var run = engine.Load(request.Namespace, request.Execution) ?? throw RpcErrors.WorkflowNotFound(request.Execution.WorkflowId);
        var description = new DescribeWorkflowExecutionResponse
        {
            WorkflowExecutionInfo = RunInfo.Of(run),
            ExecutionConfig = new()
            {
                TaskQueue = run.Start.TaskQueue,
                WorkflowExecutionTimeout = run.Start.WorkflowExecutionTimeout,
                WorkflowRunTimeout = run.Start.WorkflowRunTimeout,
                DefaultWorkflowTaskTimeout = run.Start.WorkflowTaskTimeout,
                UserMetadata = run.Lifetime.Metadata,
            },
            WorkflowExtendedInfo = new() { CancelRequested = run.Signals.CancelRequested, OriginalStartTime = Timestamp.FromDateTimeOffset(run.Lifetime.StartTime) },
        };
        if (run.Closed)
            return description;
        description.PendingActivities.AddRange(run.Activities.Pending.Select(activity => activity.Describe()));
        description.PendingChildren.AddRange(run.Children.Pending.Select(child => child.Describe()));
        description.PendingWorkflowTask = run.Task.Describe();
        return description;
    });

    private async Task<DeleteWorkflowExecutionResponse> DeleteAsync(DeleteWorkflowExecutionRequest request)
    {
        var row = await engine.TransactAsync(() =>
        {
            engine.FindOpen(request.Namespace, request.WorkflowExecution)?.Lifetime.Terminate("Delete workflow execution", null, "history-service");
            return engine.FindRow(request.Namespace, request.WorkflowExecution) ?? throw RpcErrors.WorkflowNotFound(request.WorkflowExecution.WorkflowId);
        }).ConfigureAwait(false);

        // Stored as closed, it has left memory before its rows go.
        await engine.TransactAsync(() =>
        {
            foreach (var write in Writes.DeleteRun(row))
                engine.Write(write);
            return true;
        }).ConfigureAwait(false);
        return new();
    }

    private Run Open(string ns, WorkflowExecution execution, string firstRunId = "")
    {
        var run = engine.FindOpen(ns, execution);
        if (run is { Closed: false } && (firstRunId.Length == 0 || run.Start.FirstExecutionRunId == firstRunId))
            return run;
        throw engine.FindRow(ns, execution) is null ? RpcErrors.WorkflowNotFound(execution.WorkflowId) : RpcErrors.WorkflowClosed();
    }
}
