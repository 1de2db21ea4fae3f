namespace ModelOps.Temporal;

/// <summary>A worker's activity tasks.</summary>
internal sealed class ActivityCalls(Engine engine)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    public async Task<PollActivityTaskQueueResponse> PollAsync(PollActivityTaskQueueRequest request, CancellationToken cancellationToken)
    {
        var key = new QueueKey(request.Namespace, TaskKind.Activity, request.TaskQueue.Name);
        var poller = new Poller(request.Identity, request.WorkerInstanceKey);
        var handout = await engine.PollAsync(key, poller, patience, cancellationToken).ConfigureAwait(false);
        return handout is ActivityHandout task ? task.Response : new();
    }

    public async Task<RecordActivityTaskHeartbeatResponse> HeartbeatAsync(
        RecordActivityTaskHeartbeatRequest request, CancellationToken cancellationToken)
    {
        var response = engine.Transact(() =>
        {
            var (run, activity) = Started(request.TaskToken);
            run.Activities.Heartbeat(activity, request.Details);
            return new RecordActivityTaskHeartbeatResponse { CancelRequested = activity.CancelRequestedEventId > 0 };
        });
        await engine.DurableAsync().ConfigureAwait(false);
        return response;
    }

    public async Task<RespondActivityTaskCompletedResponse> CompleteAsync(
        RespondActivityTaskCompletedRequest request, CancellationToken cancellationToken)
    {
        await ChangeAsync(request.TaskToken, (run, activity) => run.Activities.Complete(activity, request.Result, request.Identity))
            .ConfigureAwait(false);
        return new();
    }

    public async Task<RespondActivityTaskFailedResponse> FailAsync(
        RespondActivityTaskFailedRequest request, CancellationToken cancellationToken)
    {
        await ChangeAsync(request.TaskToken, (run, activity) =>
        {
            if (request.LastHeartbeatDetails is { } details)
                run.Activities.Heartbeat(activity, details);
            run.Activities.Fail(activity, request.Failure, request.Identity);
        }).ConfigureAwait(false);
        return new();
    }

    public async Task<RespondActivityTaskCanceledResponse> CancelAsync(
        RespondActivityTaskCanceledRequest request, CancellationToken cancellationToken)
    {
        await ChangeAsync(request.TaskToken, (run, activity) => run.Activities.Cancel(activity, request.Details, request.Identity))
            .ConfigureAwait(false);
        return new();
    }

    private async Task ChangeAsync(ByteString token, Action<Run, Activity> change)
    {
        engine.Transact(() =>
        {
            var (run, activity) = Started(token);
            change(run, activity);
            return run;
        });
        await engine.DurableAsync().ConfigureAwait(false);
    }

    private (Run Run, Activity Activity) Started(ByteString token) =>
        TaskToken.ActivityAttempt(token) is { } attempt
        && engine.FindOpen(token) is { Closed: false } run
        && run.Activities.Find(attempt.ScheduledEventId) is { IsStarted: true } activity
        && activity.Info.Attempt == attempt.Attempt
            ? (run, activity)
            : throw RpcErrors.ActivityTaskNotFound();
}
