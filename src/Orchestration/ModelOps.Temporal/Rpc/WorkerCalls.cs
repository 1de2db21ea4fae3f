namespace ModelOps.Temporal;

/// <summary>A worker's workflow tasks.</summary>
internal sealed class WorkerCalls(Engine engine, HistoryCalls histories)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    public async Task<PollWorkflowTaskQueueResponse> PollAsync(PollWorkflowTaskQueueRequest request, CancellationToken cancellationToken)
    {
        var key = new QueueKey(request.Namespace, TaskKind.Workflow, request.TaskQueue.Name);
        var poller = new Poller(request.Identity, request.WorkerInstanceKey, request.TaskQueue.Kind == TaskQueueKind.Sticky);
        return await engine.Matching.PollAsync(key, poller, patience, cancellationToken).ConfigureAwait(false) switch
        {
            WorkflowTaskHandout task => histories.Fill(task),
            QueryHandout query => histories.Fill(query),
            _ => new(),
        };
    }

    public async Task<RespondWorkflowTaskCompletedResponse> CompleteAsync(
        RespondWorkflowTaskCompletedRequest request, CancellationToken cancellationToken)
    {
        var (fault, resetTo) = await engine.TransactAsync(() =>
        {
            var run = Started(request.TaskToken);
            var before = run.Task.LastStartedEventId;
            var unfit = Commands.Complete(run, request, engine.Namespaces.AttributeTypes(run.Key.Namespace));
            if (unfit is not null)
                run.Task.Fail(unfit.Cause, new() { Message = unfit.Message, Source = "Server", ServerFailureInfo = new() }, request.Identity);
            return (unfit, run.Task.LastStartedEventId == before ? before : 0);
        }).ConfigureAwait(false);
        return fault is null ? new() { ResetHistoryEventId = resetTo } : throw RpcErrors.InvalidArgument($"{fault.Cause}: {fault.Message}");
    }

    public Task<RespondWorkflowTaskFailedResponse> FailAsync(
        RespondWorkflowTaskFailedRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        Started(request.TaskToken).Task.Fail(request.Cause, request.Failure, request.Identity);
        return new RespondWorkflowTaskFailedResponse();
    });

    public Task<ShutdownWorkerResponse> ShutdownAsync(ShutdownWorkerRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            engine.Matching.Shutdown(request.Namespace, request.TaskQueue, request.StickyTaskQueue, request.WorkerInstanceKey);
            return new ShutdownWorkerResponse();
        });

    public Task<ResetStickyTaskQueueResponse> ResetStickyAsync(ResetStickyTaskQueueRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            var run = engine.FindOpen(request.Namespace, request.Execution) ?? throw RpcErrors.WorkflowNotFound(request.Execution.WorkflowId);
            run.Task.Unstick();
            return new ResetStickyTaskQueueResponse();
        });

    private Run Started(ByteString token) =>
        engine.FindOpen(token) is { Closed: false, Task.State: WorkflowTaskState.Started } run && run.Task.Stamp == TaskToken.WorkflowStamp(token)
            ? run
            : throw RpcErrors.WorkflowTaskNotFound();
}
