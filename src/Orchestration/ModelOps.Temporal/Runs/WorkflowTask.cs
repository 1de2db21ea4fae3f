using Temporalio.Api.Update.V1;
using Temporalio.Api.Workflow.V1;
using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

internal enum WorkflowTaskState
{
    None,
    Scheduled,
    Started,
}

/// <summary>
/// The one workflow task that a run has at a time. The first attempt stands in the history. Later attempts are transient: their events
/// are shown to the worker and written only when the task completes. So is a task that only carries updates (speculative), which leaves no
/// trace when its updates are rejected.
/// </summary>
internal sealed class WorkflowTask(Run run) : RunPart(run)
{
    private static readonly TimeSpan firstBackoff = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan longestBackoff = TimeSpan.FromSeconds(10);
    private DateTimeOffset retryAt = DateTimeOffset.MaxValue;
    private bool isSpeculative;

    public WorkflowTaskState State { get; private set; }
    public int Attempt { get; private set; } = 1;
    public long ScheduledEventId { get; private set; }
    public long StartedEventId { get; private set; }
    public DateTimeOffset ScheduledAt { get; private set; }
    public DateTimeOffset StartedAt { get; private set; }

    /// <summary>Of the last completed task: a sticky worker has seen the history up to here.</summary>
    public long LastStartedEventId { get; private set; }

    /// <summary>The queue of the worker that has the run in its cache.</summary>
    public StickyExecutionAttributes? Sticky { get; private set; }

    /// <summary>The events of an attempt that is not in the history.</summary>
    public HistoryEvent[] Transient { get; private set; } = [];

    private bool IsInHistory => Attempt == 1 && !isSpeculative;

    /// <summary>Names one attempt: an answer to an older one is not taken.</summary>
    public string Stamp => $"{ScheduledEventId}.{StartedEventId}.{Attempt}";

    public override DateTimeOffset Deadline => State switch
    {
        WorkflowTaskState.Started => Run.Start.WorkflowTaskTimeout.Limit(StartedAt),
        WorkflowTaskState.Scheduled when Sticky is not null => Sticky.ScheduleToStartTimeout.Limit(ScheduledAt),
        WorkflowTaskState.None => retryAt,
        _ => DateTimeOffset.MaxValue,
    };

    public override void Apply(HistoryEvent applied)
    {
        switch (applied.AttributesCase)
        {
            case AttributesCase.WorkflowTaskScheduledEventAttributes:
                State = WorkflowTaskState.Scheduled;
                ScheduledEventId = applied.EventId;
                ScheduledAt = applied.EventTime.ToDateTimeOffset();
                break;
            case AttributesCase.WorkflowTaskStartedEventAttributes:
                State = WorkflowTaskState.Started;
                StartedEventId = applied.EventId;
                StartedAt = applied.EventTime.ToDateTimeOffset();
                break;
            case AttributesCase.WorkflowTaskCompletedEventAttributes:
                State = WorkflowTaskState.None;
                Attempt = 1;
                LastStartedEventId = applied.WorkflowTaskCompletedEventAttributes.StartedEventId;
                break;
            case AttributesCase.WorkflowTaskFailedEventAttributes:
                State = WorkflowTaskState.None;
                Attempt = applied.WorkflowTaskFailedEventAttributes.Cause == WorkflowTaskFailedCause.ResetWorkflow ? 1 : Attempt + 1;
                break;
            case AttributesCase.WorkflowTaskTimedOutEventAttributes:
                State = WorkflowTaskState.None;
                if (applied.WorkflowTaskTimedOutEventAttributes.TimeoutType == TimeoutType.StartToClose)
                    Attempt++;
                break;
        }
    }

    /// <summary>Makes a task, unless there is one already or it is not time for one.</summary>
    public void Schedule()
    {
        var replacesSpeculative = isSpeculative && State == WorkflowTaskState.Scheduled;
        if (Run.Closed || (State != WorkflowTaskState.None && !replacesSpeculative) || Run.Lifetime.InBackoff || retryAt < DateTimeOffset.MaxValue)
            return;
        isSpeculative = false;
        if (Attempt == 1)
        {
            Run.Append(new() { WorkflowTaskScheduledEventAttributes = ScheduledAttributes() });
        }
        else
        {
            State = WorkflowTaskState.Scheduled;
            ScheduledAt = Run.Now;
        }
        Run.Effects.Enqueue(new Effect.DispatchWorkflowTask());
    }

    /// <summary>Makes a task that brings nothing but updates.</summary>
    public void ScheduleSpeculative()
    {
        if (LastStartedEventId == 0 || Attempt > 1)
        {
            Schedule();
            return;
        }
        if (Run.Closed || State != WorkflowTaskState.None)
            return;
        isSpeculative = true;
        State = WorkflowTaskState.Scheduled;
        ScheduledEventId = Run.History.Count + 1;
        ScheduledAt = Run.Now;
        Run.Effects.Enqueue(new Effect.DispatchWorkflowTask());
    }

    /// <summary>Drops a speculative task whose updates were all rejected.</summary>
    /// <returns>Whether it was one.</returns>
    public bool Drop(RespondWorkflowTaskCompletedRequest request)
    {
        var hasEffect = request.Commands.Count > 0 || request.ForceCreateNewWorkflowTask || Run.Inbox.Count > 0
            || request.Messages.Any(message => !message.Body.Is(Rejection.Descriptor));
        if (!isSpeculative || hasEffect)
            return false;
        isSpeculative = false;
        State = WorkflowTaskState.None;
        Transient = [];
        TakeSticky(request);
        return true;
    }

    /// <summary>Hands the task to a worker.</summary>
    public void Begin(string identity)
    {
        var started = new WorkflowTaskStartedEventAttributes
        {
            ScheduledEventId = IsInHistory ? ScheduledEventId : Run.History.Count + 1,
            Identity = identity,
            RequestId = $"{Guid.NewGuid()}",
            HistorySizeBytes = Run.History.Bytes,
            SuggestContinueAsNew = HistoryLimits.SuggestContinueAsNew(Run.History),
        };
        if (IsInHistory)
        {
            Run.Append(new() { WorkflowTaskStartedEventAttributes = started });
            return;
        }
        State = WorkflowTaskState.Started;
        StartedAt = Run.Now;
        ScheduledEventId = started.ScheduledEventId;
        StartedEventId = ScheduledEventId + 1;
        Transient =
        [
            new()
            {
                EventId = ScheduledEventId,
                EventType = EventType.WorkflowTaskScheduled,
                EventTime = Timestamp.FromDateTimeOffset(ScheduledAt),
                WorkflowTaskScheduledEventAttributes = ScheduledAttributes(),
            },
            new()
            {
                EventId = StartedEventId,
                EventType = EventType.WorkflowTaskStarted,
                EventTime = Timestamp.FromDateTimeOffset(StartedAt),
                WorkflowTaskStartedEventAttributes = started,
            },
        ];
    }

    /// <summary>Writes the completion; what the commands make follows it.</summary>
    /// <returns>The id of the event, which the events of the commands name.</returns>
    public long Complete(RespondWorkflowTaskCompletedRequest request)
    {
        WriteTransient();
        TakeSticky(request);
        var completed = Run.Append(new()
        {
            WorkflowTaskCompletedEventAttributes = new()
            {
                ScheduledEventId = ScheduledEventId,
                StartedEventId = StartedEventId,
                Identity = request.Identity,
                SdkMetadata = request.SdkMetadata,
                MeteringMetadata = request.MeteringMetadata,
            },
        });
        Run.History.Trim(LastStartedEventId);
        return completed.EventId;
    }

    /// <summary>The attempt failed; the next one follows, from the third on after a pause.</summary>
    public void Fail(WorkflowTaskFailedCause cause, Failure? failure, string identity) => End(new()
    {
        WorkflowTaskFailedEventAttributes = new()
        {
            ScheduledEventId = ScheduledEventId,
            StartedEventId = StartedEventId,
            Cause = cause,
            Failure = failure,
            Identity = identity,
        },
    });

    /// <summary>The run was reset to where this task began.</summary>
    public void FailForReset(string baseRunId, string newRunId, ResetWorkflowExecutionRequest request) => End(new()
    {
        WorkflowTaskFailedEventAttributes = new()
        {
            ScheduledEventId = ScheduledEventId,
            StartedEventId = StartedEventId,
            Cause = WorkflowTaskFailedCause.ResetWorkflow,
            Failure = new() { Message = request.Reason, Source = "Server", ResetWorkflowFailureInfo = new() },
            Identity = request.Identity,
            BaseRunId = baseRunId,
            NewRunId = newRunId,
        },
    });

    /// <summary>The worker did not answer in time, or its answer can no longer come.</summary>
    public void TimeOut() => End(new()
    {
        WorkflowTaskTimedOutEventAttributes = new()
        {
            ScheduledEventId = ScheduledEventId,
            StartedEventId = StartedEventId,
            TimeoutType = TimeoutType.StartToClose,
        },
    });

    /// <summary>The sticky worker is gone: whoever takes the task gets the whole history.</summary>
    public void Unstick() => Sticky = null;

    public PendingWorkflowTaskInfo? Describe() => State == WorkflowTaskState.None ? null : new()
    {
        State = State == WorkflowTaskState.Started ? PendingWorkflowTaskState.Started : PendingWorkflowTaskState.Scheduled,
        ScheduledTime = Timestamp.FromDateTimeOffset(ScheduledAt),
        OriginalScheduledTime = Timestamp.FromDateTimeOffset(ScheduledAt),
        StartedTime = State == WorkflowTaskState.Started ? Timestamp.FromDateTimeOffset(StartedAt) : null,
        Attempt = Attempt,
    };

    /// <summary>There is no task any more, because the run closes.</summary>
    public void Abandon()
    {
        State = WorkflowTaskState.None;
        isSpeculative = false;
        Transient = [];
        retryAt = DateTimeOffset.MaxValue;
    }

    /// <summary>
    /// After a restart of the service: a task that a worker had is tried again at once. It costs a replay, where waiting for a worker
    /// that died with the service would cost the whole timeout.
    /// </summary>
    public void Resume()
    {
        if (State == WorkflowTaskState.Started)
            TimeOut();
        else if (State == WorkflowTaskState.Scheduled)
            Run.Effects.Enqueue(new Effect.DispatchWorkflowTask());
        else if (Attempt > 1)
            Schedule();
    }

    public override void Elapse(DateTimeOffset now)
    {
        if (now < Deadline)
            return;
        switch (State)
        {
            case WorkflowTaskState.Started:
                TimeOut();
                break;
            case WorkflowTaskState.Scheduled:
                MoveFromStickyQueue();
                break;
            default:
                retryAt = DateTimeOffset.MaxValue;
                Schedule();
                break;
        }
    }

    private void MoveFromStickyQueue()
    {
        Sticky = null;
        if (IsInHistory)
        {
            Run.Append(new()
            {
                WorkflowTaskTimedOutEventAttributes = new()
                {
                    ScheduledEventId = ScheduledEventId,
                    TimeoutType = TimeoutType.ScheduleToStart,
                },
            });
        }
        State = WorkflowTaskState.None;
        Schedule();
    }

    private void End(HistoryEvent end)
    {
        if (Attempt == 1)
        {
            WriteTransient();
            Run.Append(end);
        }
        else
        {
            State = WorkflowTaskState.None;
            Attempt++;
        }
        Transient = [];
        Sticky = null;
        Run.Updates.Unsend();
        Run.Queries.Unsend();
        if (Run.FlushInbox())
            Attempt = 1; // news may cure what failed, and its events take the ids of the transient ones
        if (Attempt > 2)
        {
            var backoff = firstBackoff * Math.Pow(2, Math.Min(Attempt - 3, 10));
            retryAt = Run.Now + (backoff < longestBackoff ? backoff : longestBackoff);
        }
        Schedule();
    }

    private void WriteTransient()
    {
        foreach (var made in Transient)
            Run.Append(made);
        Transient = [];
        isSpeculative = false;
    }

    private void TakeSticky(RespondWorkflowTaskCompletedRequest request) =>
        Sticky = request.StickyAttributes?.WorkerTaskQueue is { Name.Length: > 0 } ? request.StickyAttributes : null;

    private WorkflowTaskScheduledEventAttributes ScheduledAttributes() => new()
    {
        TaskQueue = Sticky?.WorkerTaskQueue ?? Run.Start.TaskQueue,
        StartToCloseTimeout = Run.Start.WorkflowTaskTimeout,
        Attempt = Attempt,
    };
}
