using Temporalio.Api.Command.V1;
using Temporalio.Api.Workflow.V1;
using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>
/// The activities that a run waits for. Attempts, heartbeats and retries are not history: they are each activity's
/// <see cref="Activity.Info"/>, stored beside it. An activity's start is written with its end, as in Temporal.
/// </summary>
internal sealed class Activities(Run run) : RunPart(run)
{
    private readonly SortedDictionary<long, Activity> pending = [];
    private readonly HashSet<long> changed = [];

    /// <summary>Whether an attempt changed since <see cref="TakeChanged"/>.</summary>
    public bool IsChanged => changed.Count > 0;

    public IEnumerable<Activity> Pending => pending.Values.Where(activity => !activity.IsClosing);

    public override DateTimeOffset Deadline =>
        pending.Count == 0 ? DateTimeOffset.MaxValue : pending.Values.Min(activity => activity.Deadline);

    public Activity? Find(long scheduledEventId) =>
        pending.TryGetValue(scheduledEventId, out var activity) && !activity.IsClosing ? activity : null;

    public Activity? Find(string activityId) => Pending.FirstOrDefault(activity => activity.Info.ActivityId == activityId);

    public override void Apply(HistoryEvent applied)
    {
        switch (applied.AttributesCase)
        {
            case AttributesCase.ActivityTaskScheduledEventAttributes:
                pending.Add(applied.EventId, new Activity(applied));
                break;
            case AttributesCase.ActivityTaskStartedEventAttributes:
                pending[applied.ActivityTaskStartedEventAttributes.ScheduledEventId].StartedEventId = applied.EventId;
                break;
            case AttributesCase.ActivityTaskCancelRequestedEventAttributes:
                if (pending.TryGetValue(applied.ActivityTaskCancelRequestedEventAttributes.ScheduledEventId, out var canceled))
                    canceled.CancelRequestedEventId = applied.EventId;
                break;
            default:
                if (ClosedActivity(applied) is { } closed && pending.Remove(closed))
                    changed.Add(closed);
                break;
        }
    }

    public override void Expect(HistoryEvent received)
    {
        if (ClosedActivity(received) is { } closed && pending.TryGetValue(closed, out var activity))
            activity.IsClosing = true;
    }

    /// <summary>Fills in what an event knows only once it is in the history: the id of the start that its end names.</summary>
    public override void Wire(HistoryEvent next)
    {
        var started = ClosedActivity(next) is { } closed && pending.TryGetValue(closed, out var activity) ? activity.StartedEventId : 0;
        switch (next.AttributesCase)
        {
            case AttributesCase.ActivityTaskCompletedEventAttributes:
                next.ActivityTaskCompletedEventAttributes.StartedEventId = started;
                break;
            case AttributesCase.ActivityTaskFailedEventAttributes:
                next.ActivityTaskFailedEventAttributes.StartedEventId = started;
                break;
            case AttributesCase.ActivityTaskTimedOutEventAttributes:
                next.ActivityTaskTimedOutEventAttributes.StartedEventId = started;
                break;
            case AttributesCase.ActivityTaskCanceledEventAttributes:
                next.ActivityTaskCanceledEventAttributes.StartedEventId = started;
                break;
        }
    }

    /// <summary>Takes an activity's stored info over what its schedule alone says.</summary>
    public void Restore(long scheduledEventId, PendingActivityInfo info)
    {
        if (pending.TryGetValue(scheduledEventId, out var activity))
            activity.Info = info;
    }

    /// <summary>The attempts that changed, as they are stored: null for an activity that ended.</summary>
    public (long ScheduledEventId, byte[]? Info)[] TakeChanged()
    {
        var taken = changed.Select(id => (id, pending.GetValueOrDefault(id)?.Info.ToByteArray())).ToArray();
        changed.Clear();
        return taken;
    }

    /// <summary>After a restart of the service: whoever has an attempt keeps it, and waiting attempts are offered again.</summary>
    public void Resume()
    {
        foreach (var activity in Pending)
        {
            activity.ExcuseHeartbeat(Run.Now);
            if (!activity.IsStarted && !activity.IsInBackoff)
                Run.Effects.Enqueue(new Effect.DispatchActivity(activity));
        }
    }

    public void Schedule(Command command, long completedEventId)
    {
        var wanted = command.ScheduleActivityTaskCommandAttributes;
        var runTimeout = Run.Start.WorkflowRunTimeout;
        var scheduleToClose = Times.Shorter(wanted.ScheduleToCloseTimeout, runTimeout);
        var scheduled = Run.Append(new()
        {
            UserMetadata = command.UserMetadata,
            ActivityTaskScheduledEventAttributes = new()
            {
                ActivityId = wanted.ActivityId,
                ActivityType = wanted.ActivityType,
                TaskQueue = wanted.TaskQueue is { Name.Length: > 0 } queue ? queue : Run.Start.TaskQueue,
                Header = wanted.Header,
                Input = wanted.Input,
                ScheduleToCloseTimeout = scheduleToClose,
                ScheduleToStartTimeout = Times.Shorter(wanted.ScheduleToStartTimeout, scheduleToClose),
                StartToCloseTimeout = Times.Shorter(wanted.StartToCloseTimeout, scheduleToClose),
                HeartbeatTimeout = wanted.HeartbeatTimeout,
                RetryPolicy = RetryPolicies.WithDefaults(wanted.RetryPolicy),
                WorkflowTaskCompletedEventId = completedEventId,
                Priority = Priorities.Inherit(wanted.Priority, Run.Start.Priority),
            },
        });
        Run.Effects.Enqueue(new Effect.DispatchActivity(pending[scheduled.EventId]));
    }

    /// <summary>Hands an attempt to a worker.</summary>
    public void Begin(Activity activity, string identity)
    {
        activity.Begin(identity, Run.Now);
        changed.Add(activity.ScheduledEventId);
    }

    /// <summary>Takes an attempt back that no worker got.</summary>
    public void Return(Activity activity)
    {
        activity.Return();
        changed.Add(activity.ScheduledEventId);
        Run.Effects.Enqueue(new Effect.DispatchActivity(activity));
    }

    public void Heartbeat(Activity activity, Payloads? details)
    {
        activity.Heartbeat(details, Run.Now);
        changed.Add(activity.ScheduledEventId);
    }

    public void Complete(Activity activity, Payloads? result, string identity) => Close(activity, new()
    {
        ActivityTaskCompletedEventAttributes = new()
        {
            Result = result,
            ScheduledEventId = activity.ScheduledEventId,
            Identity = identity,
        },
    });

    public void Cancel(Activity activity, Payloads? details, string identity) => Close(activity, new()
    {
        ActivityTaskCanceledEventAttributes = new()
        {
            Details = details,
            ScheduledEventId = activity.ScheduledEventId,
            LatestCancelRequestedEventId = activity.CancelRequestedEventId,
            Identity = identity,
        },
    });

    /// <summary>Asks for an activity's end: its worker hears of it with the next heartbeat; without a worker it ends now.</summary>
    public void RequestCancel(long scheduledEventId, long completedEventId, string identity)
    {
        Run.Append(new()
        {
            ActivityTaskCancelRequestedEventAttributes = new()
            {
                ScheduledEventId = scheduledEventId,
                WorkflowTaskCompletedEventId = completedEventId,
            },
        });
        if (Find(scheduledEventId) is { IsStarted: false } waiting)
            Cancel(waiting, null, identity);
    }

    /// <summary>An attempt failed: it is tried again as its policy says, or the activity fails.</summary>
    public void Fail(Activity activity, Failure failure, string identity)
    {
        if (Retries(activity, failure) is not { } state)
            return;
        Close(activity, new()
        {
            ActivityTaskFailedEventAttributes = new()
            {
                Failure = failure,
                ScheduledEventId = activity.ScheduledEventId,
                Identity = identity,
                RetryState = state,
            },
        });
    }

    public override void Elapse(DateTimeOffset now)
    {
        foreach (var activity in pending.Values.Where(activity => activity.Deadline <= now).ToArray())
        {
            if (activity.TimeoutAt(now) is { } timeout)
                TimeOut(activity, timeout);
            else if (activity.IsBackoffOver(now))
                Run.Effects.Enqueue(new Effect.DispatchActivity(activity.Ready()));
        }
    }

    private static long? ClosedActivity(HistoryEvent closing) => closing.AttributesCase switch
    {
        AttributesCase.ActivityTaskCompletedEventAttributes => closing.ActivityTaskCompletedEventAttributes.ScheduledEventId,
        AttributesCase.ActivityTaskFailedEventAttributes => closing.ActivityTaskFailedEventAttributes.ScheduledEventId,
        AttributesCase.ActivityTaskTimedOutEventAttributes => closing.ActivityTaskTimedOutEventAttributes.ScheduledEventId,
        AttributesCase.ActivityTaskCanceledEventAttributes => closing.ActivityTaskCanceledEventAttributes.ScheduledEventId,
        _ => null,
    };

    private void TimeOut(Activity activity, TimeoutType type)
    {
        var failure = activity.TimeoutFailure(type);
        if (Retries(activity, failure) is not { } state)
            return;
        Close(activity, new()
        {
            ActivityTaskTimedOutEventAttributes = new()
            {
                Failure = failure,
                ScheduledEventId = activity.ScheduledEventId,
                RetryState = state,
            },
        });
    }

    /// <returns>Null when the activity is tried again, else why not.</returns>
    private RetryState? Retries(Activity activity, Failure failure)
    {
        if (activity.CancelRequestedEventId > 0)
            return RetryState.CancelRequested;
        var decision = activity.DecideRetry(failure, Run.Now);
        if (decision.Delay is not { } delay)
            return decision.State;
        activity.Retry(failure, delay, Run.Now);
        changed.Add(activity.ScheduledEventId);
        return null;
    }

    private void Close(Activity activity, HistoryEvent end)
    {
        if (activity.IsStarted)
            Run.Receive(activity.StartedEvent(), end);
        else
            Run.Receive(end);
    }
}
