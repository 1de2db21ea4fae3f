namespace ModelOps.Temporal;

/// <summary>A worker's workflow tasks.</summary>
internal sealed class WorkerCalls(Engine engine, HistoryCalls histories)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    public async Task<PollWorkflowTaskQueueResponse> PollWorkflowTaskAsync(
        PollWorkflowTaskQueueRequest request, CancellationToken cancellationToken)
    {
        var key = new QueueKey(request.Namespace, TaskKind.Workflow, request.TaskQueue.Name);
        var poller = new Poller(request.Identity, request.WorkerInstanceKey);
        var handout = await engine.PollAsync(key, poller, patience, cancellationToken).ConfigureAwait(false);
        return handout is WorkflowTaskHandout task ? histories.Fill(task) : new();
    }

    public async Task<RespondWorkflowTaskCompletedResponse> CompleteWorkflowTaskAsync(
        RespondWorkflowTaskCompletedRequest request, CancellationToken cancellationToken)
    {
        var failed = engine.Transact(() =>
        {
            var run = Started(request.TaskToken);
            var cause = Commands.Complete(run, request);
            if (cause is { } unfit)
                run.Task.Fail(unfit, null, request.Identity);
            return cause;
        });
        await engine.DurableAsync().ConfigureAwait(false);
        return failed is { } why ? throw RpcErrors.InvalidArgument($"{why}") : new();
    }

    public async Task<RespondWorkflowTaskFailedResponse> FailWorkflowTaskAsync(
        RespondWorkflowTaskFailedRequest request, CancellationToken cancellationToken)
    {
        engine.Transact(() =>
        {
            var run = Started(request.TaskToken);
            run.Task.Fail(request.Cause, request.Failure, request.Identity);
            return run;
        });
        await engine.DurableAsync().ConfigureAwait(false);
        return new();
    }

    public Task<ShutdownWorkerResponse> ShutdownAsync(ShutdownWorkerRequest request, CancellationToken cancellationToken)
    {
        engine.ShutdownWorker(request.Namespace, request.TaskQueue, request.StickyTaskQueue, request.WorkerInstanceKey);
        return Task.FromResult(new ShutdownWorkerResponse());
    }

    private Run Started(ByteString token) =>
        engine.FindOpen(token) is { Task.State: WorkflowTaskState.Started } run && run.Task.Stamp == TaskToken.WorkflowStamp(token)
            ? run
            : throw RpcErrors.WorkflowTaskNotFound();
}
