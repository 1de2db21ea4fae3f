namespace ModelOps.Temporal;

internal sealed class WorkflowTaskOffer(Run run) : Offer
{
    private readonly string stamp = run.Task.Stamp;

    public override Run Run => run;

    public override bool IsValid => run.Task.State == WorkflowTaskState.Scheduled && run.Task.Stamp == stamp;

    public override Handout Begin(Poller poller)
    {
        var seen = run.Task.Sticky is null ? 0 : run.Task.LastStartedEventId;
        run.Task.Begin(poller.Identity);
        return new WorkflowTaskHandout(run, seen);
    }
}

/// <param name="Run">Whose task it is.</param>
/// <param name="SeenEventId">The worker has the history up to here.</param>
internal sealed record WorkflowTaskHandout(Run Run, long SeenEventId) : Handout(Run)
{
    private readonly string stamp = Run.Task.Stamp;

    /// <summary>The history from there on, or null when it is long and only in the store.</summary>
    public HistoryEvent[]? Events { get; } = Run.History.After(SeenEventId);

    public HistoryEvent[] Transient { get; } = Run.Task.Transient;

    public PollWorkflowTaskQueueResponse Response { get; } = new()
    {
        TaskToken = TaskToken.Workflow(Run),
        WorkflowExecution = Run.Execution,
        WorkflowType = Run.Start.WorkflowType,
        PreviousStartedEventId = Run.Task.LastStartedEventId,
        StartedEventId = Run.Task.StartedEventId,
        Attempt = Run.Task.Attempt,
        WorkflowExecutionTaskQueue = new() { Name = Run.Start.TaskQueue.Name, Kind = TaskQueueKind.Normal },
        ScheduledTime = Timestamp.FromDateTimeOffset(Run.Task.ScheduledAt),
        StartedTime = Timestamp.FromDateTimeOffset(Run.Task.StartedAt),
        History = new(),
        Messages = { Run.Updates.Send(Run.Task.StartedEventId) },
        Queries = { Run.Queries.Send().ToDictionary(query => query.Id, query => query.Query) },
    };

    public override void Return()
    {
        if (Run.Task.State == WorkflowTaskState.Started && Run.Task.Stamp == stamp)
            Run.Task.TimeOut();
    }
}

internal sealed class ActivityOffer(Run run, Activity activity) : Offer
{
    private readonly int attempt = activity.Info.Attempt;

    public override Run Run => run;

    public override bool IsValid => !run.Closed && !activity.IsClosing && !activity.IsStarted && activity.Info.Attempt == attempt;

    public override Handout Begin(Poller poller)
    {
        run.Activities.Begin(activity, poller.Identity);
        return new ActivityHandout(run, activity);
    }
}

internal sealed record ActivityHandout(Run Run, Activity Activity) : Handout(Run)
{
    private readonly int attempt = Activity.Info.Attempt;

    public PollActivityTaskQueueResponse Response { get; } = new()
    {
        TaskToken = TaskToken.Activity(Run, Activity),
        WorkflowNamespace = Run.Key.Namespace,
        WorkflowType = Run.Start.WorkflowType,
        WorkflowExecution = Run.Execution,
        ActivityType = Activity.Scheduled.ActivityType,
        ActivityId = Activity.Scheduled.ActivityId,
        Header = Activity.Scheduled.Header,
        Input = Activity.Scheduled.Input,
        HeartbeatDetails = Activity.Info.HeartbeatDetails,
        ScheduledTime = Timestamp.FromDateTimeOffset(Activity.ScheduledAt),
        CurrentAttemptScheduledTime = Activity.Info.ScheduledTime,
        StartedTime = Activity.Info.LastStartedTime,
        Attempt = Activity.Info.Attempt,
        ScheduleToCloseTimeout = Activity.Scheduled.ScheduleToCloseTimeout,
        StartToCloseTimeout = Activity.Scheduled.StartToCloseTimeout,
        HeartbeatTimeout = Activity.Scheduled.HeartbeatTimeout,
        RetryPolicy = Activity.Scheduled.RetryPolicy,
        Priority = Activity.Scheduled.Priority,
    };

    public override void Return()
    {
        if (Activity.IsStarted && !Activity.IsClosing && Activity.Info.Attempt == attempt)
            Run.Activities.Return(Activity);
    }
}

internal sealed class QueryOffer(Run run, PendingQuery query, bool sticky) : Offer
{
    public override Run Run => run;
    public PendingQuery Query => query;
    public override bool IsValid => !query.Answered.IsCompleted;

    public override Handout Begin(Poller poller) => new QueryHandout(run, query, sticky);
}

/// <summary>A question by itself. A worker that has the run needs no history for it; any other gets the whole.</summary>
internal sealed record QueryHandout(Run Run, PendingQuery Query, bool IsSticky) : Handout(Run)
{
    public PollWorkflowTaskQueueResponse Response { get; } = new()
    {
        TaskToken = TaskToken.Query(Run, Query),
        WorkflowExecution = Run.Execution,
        WorkflowType = Run.Start.WorkflowType,
        PreviousStartedEventId = Run.Task.LastStartedEventId,
        Query = Query.Query,
        WorkflowExecutionTaskQueue = new() { Name = Run.Start.TaskQueue.Name, Kind = TaskQueueKind.Normal },
        History = new(),
    };

    /// <summary>How much of the history belongs to the answer: what the last workflow task has seen, and not a task in flight.</summary>
    public long UpTo { get; } = Run.History.Count;

    // Whoever asked asks again.
    public override void Return()
    {
    }
}
