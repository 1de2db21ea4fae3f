namespace ModelOps.Temporal;

/// <summary>Activity tasks: a worker answers by the token of its task, anybody else by the activity's id.</summary>
internal sealed class ActivityCalls(Engine engine)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    public async Task<PollActivityTaskQueueResponse> PollAsync(PollActivityTaskQueueRequest request, CancellationToken cancellationToken)
    {
        var key = new QueueKey(request.Namespace, TaskKind.Activity, request.TaskQueue.Name);
        var poller = new Poller(request.Identity, request.WorkerInstanceKey, isSticky: false);
        var handout = await engine.Matching.PollAsync(key, poller, patience, cancellationToken).ConfigureAwait(false);
        return handout is ActivityHandout task ? task.Response : new();
    }

    public Task<RecordActivityTaskHeartbeatResponse> HeartbeatAsync(
        RecordActivityTaskHeartbeatRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.TaskToken);
        run.Activities.Heartbeat(activity, request.Details);
        return new RecordActivityTaskHeartbeatResponse { CancelRequested = activity.CancelRequestedEventId > 0 };
    });

    public Task<RespondActivityTaskCompletedResponse> CompleteAsync(
        RespondActivityTaskCompletedRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.TaskToken);
        run.Activities.Complete(activity, request.Result, request.Identity);
        return new RespondActivityTaskCompletedResponse();
    });

    public Task<RespondActivityTaskFailedResponse> FailAsync(
        RespondActivityTaskFailedRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.TaskToken);
        Fail(run, activity, request.Failure, request.LastHeartbeatDetails, request.Identity);
        return new RespondActivityTaskFailedResponse();
    });

    public Task<RespondActivityTaskCanceledResponse> CancelAsync(
        RespondActivityTaskCanceledRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.TaskToken);
        run.Activities.Cancel(activity, request.Details, request.Identity);
        return new RespondActivityTaskCanceledResponse();
    });

    public Task<RecordActivityTaskHeartbeatByIdResponse> HeartbeatByIdAsync(
        RecordActivityTaskHeartbeatByIdRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId);
        run.Activities.Heartbeat(activity, request.Details);
        return new RecordActivityTaskHeartbeatByIdResponse { CancelRequested = activity.CancelRequestedEventId > 0 };
    });

    public Task<RespondActivityTaskCompletedByIdResponse> CompleteByIdAsync(
        RespondActivityTaskCompletedByIdRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId);
        run.Activities.Complete(activity, request.Result, request.Identity);
        return new RespondActivityTaskCompletedByIdResponse();
    });

    public Task<RespondActivityTaskFailedByIdResponse> FailByIdAsync(
        RespondActivityTaskFailedByIdRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId);
        Fail(run, activity, request.Failure, request.LastHeartbeatDetails, request.Identity);
        return new RespondActivityTaskFailedByIdResponse();
    });

    public Task<RespondActivityTaskCanceledByIdResponse> CancelByIdAsync(
        RespondActivityTaskCanceledByIdRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var (run, activity) = Started(request.Namespace, request.WorkflowId, request.RunId, request.ActivityId);
        run.Activities.Cancel(activity, request.Details, request.Identity);
        return new RespondActivityTaskCanceledByIdResponse();
    });

    private static void Fail(Run run, Activity activity, Failure? failure, Payloads? lastHeartbeat, string identity)
    {
        if (lastHeartbeat is not null)
            run.Activities.Heartbeat(activity, lastHeartbeat);
        run.Activities.Fail(activity, failure ?? new(), identity);
    }

    private (Run Run, Activity Activity) Started(ByteString token) =>
        TaskToken.ActivityAttempt(token) is { } attempt
        && engine.FindOpen(token) is { Closed: false } run
        && run.Activities.Find(attempt.ScheduledEventId) is { IsStarted: true } activity
        && activity.Info.Attempt == attempt.Attempt
            ? (run, activity)
            : throw RpcErrors.ActivityTaskNotFound();

    private (Run Run, Activity Activity) Started(string ns, string workflowId, string runId, string activityId) =>
        engine.FindOpen(ns, new() { WorkflowId = workflowId, RunId = runId }) is { Closed: false } run
        && run.Activities.Find(activityId) is { IsStarted: true } activity
            ? (run, activity)
            : throw RpcErrors.ActivityTaskNotFound();
}
