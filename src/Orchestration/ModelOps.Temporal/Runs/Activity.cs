using Temporalio.Api.Workflow.V1;

namespace ModelOps.Temporal;

/// <summary>One activity: what was scheduled, and the attempt it is in.</summary>
internal sealed class Activity
{
    public Activity(HistoryEvent scheduled)
    {
        ScheduledEventId = scheduled.EventId;
        Scheduled = scheduled.ActivityTaskScheduledEventAttributes;
        ScheduledAt = scheduled.EventTime.ToDateTimeOffset();
        Info = new()
        {
            ActivityId = Scheduled.ActivityId,
            ActivityType = Scheduled.ActivityType,
            State = PendingActivityState.Scheduled,
            Attempt = 1,
            MaximumAttempts = Scheduled.RetryPolicy.MaximumAttempts,
            ScheduledTime = scheduled.EventTime,
            ExpirationTime = Expiration < DateTimeOffset.MaxValue ? Timestamp.FromDateTimeOffset(Expiration) : null,
            Priority = Scheduled.Priority,
        };
    }

    public long ScheduledEventId { get; }
    public ActivityTaskScheduledEventAttributes Scheduled { get; }

    /// <summary>When the first attempt was scheduled.</summary>
    public DateTimeOffset ScheduledAt { get; }

    /// <summary>The attempt: what is stored of it and what describing the run shows.</summary>
    public PendingActivityInfo Info { get; set; }

    public long StartedEventId { get; set; }
    public long CancelRequestedEventId { get; set; }

    /// <summary>Its end is in the inbox: nothing more happens to it.</summary>
    public bool IsClosing { get; set; }

    /// <summary>A worker has it. Asked to cancel or to pause, it is still started.</summary>
    public bool IsStarted => Info.State is PendingActivityState.Started;

    public bool IsInBackoff => Info.NextAttemptScheduleTime is not null;

    public DateTimeOffset Deadline => IsClosing ? DateTimeOffset.MaxValue : Times.Min(Timeout.At, BackoffEnd);

    private DateTimeOffset Expiration => Scheduled.ScheduleToCloseTimeout.Limit(ScheduledAt);

    private DateTimeOffset BackoffEnd => Info.NextAttemptScheduleTime?.ToDateTimeOffset() ?? DateTimeOffset.MaxValue;

    private (DateTimeOffset At, TimeoutType Type) Timeout
    {
        get
        {
            var first = (At: Expiration, Type: TimeoutType.ScheduleToClose);
            if (IsStarted)
            {
                var started = Info.LastStartedTime.ToDateTimeOffset();
                Earlier(Scheduled.StartToCloseTimeout.Limit(started), TimeoutType.StartToClose);
                Earlier(Scheduled.HeartbeatTimeout.Limit(Info.LastHeartbeatTime?.ToDateTimeOffset() ?? started), TimeoutType.Heartbeat);
            }
            else if (!IsInBackoff)
            {
                Earlier(Scheduled.ScheduleToStartTimeout.Limit(Info.ScheduledTime.ToDateTimeOffset()), TimeoutType.ScheduleToStart);
            }
            return first;

            void Earlier(DateTimeOffset at, TimeoutType type)
            {
                if (at < first.At)
                    first = (at, type);
            }
        }
    }

    public TimeoutType? TimeoutAt(DateTimeOffset now) => Timeout is var next && next.At <= now ? next.Type : null;

    public bool IsBackoffOver(DateTimeOffset now) => BackoffEnd <= now;

    public PendingActivityInfo Describe()
    {
        var info = Info.Clone();
        if (CancelRequestedEventId > 0)
            info.State = PendingActivityState.CancelRequested;
        return info;
    }

    public void Begin(string identity, DateTimeOffset now)
    {
        Info.State = PendingActivityState.Started;
        Info.LastStartedTime = Timestamp.FromDateTimeOffset(now);
        Info.LastHeartbeatTime = null;
        Info.LastWorkerIdentity = identity;
    }

    public void Return() => Info.State = PendingActivityState.Scheduled;

    public void Heartbeat(Payloads? details, DateTimeOffset now)
    {
        Info.HeartbeatDetails = details;
        Info.LastHeartbeatTime = Timestamp.FromDateTimeOffset(now);
    }

    /// <summary>Gives a worker that outlived a restart of the service its whole heartbeat timeout to be heard again.</summary>
    public void ExcuseHeartbeat(DateTimeOffset now)
    {
        if (IsStarted)
            Info.LastHeartbeatTime = Timestamp.FromDateTimeOffset(now);
    }

    public RetryDecision DecideRetry(Failure failure, DateTimeOffset now) =>
        RetryPolicies.Decide(Scheduled.RetryPolicy, Info.Attempt, failure, now, Expiration);

    public void Retry(Failure failure, TimeSpan delay, DateTimeOffset now)
    {
        Info.Attempt++;
        Info.State = PendingActivityState.Scheduled;
        Info.LastFailure = failure;
        Info.LastAttemptCompleteTime = Timestamp.FromDateTimeOffset(now);
        Info.CurrentRetryInterval = Duration.FromTimeSpan(delay);
        Info.ScheduledTime = Info.NextAttemptScheduleTime = Timestamp.FromDateTimeOffset(now + delay);
    }

    public Activity Ready()
    {
        Info.NextAttemptScheduleTime = null;
        return this;
    }

    public Failure TimeoutFailure(TimeoutType type) => new()
    {
        Message = $"activity {type} timeout",
        Source = "Server",
        Cause = type is TimeoutType.ScheduleToClose or TimeoutType.ScheduleToStart ? Info.LastFailure : null,
        TimeoutFailureInfo = new() { TimeoutType = type, LastHeartbeatDetails = Info.HeartbeatDetails },
    };

    public HistoryEvent StartedEvent() => new()
    {
        ActivityTaskStartedEventAttributes = new()
        {
            ScheduledEventId = ScheduledEventId,
            Identity = Info.LastWorkerIdentity,
            RequestId = $"{ScheduledEventId}-{Info.Attempt}",
            Attempt = Info.Attempt,
            LastFailure = Info.LastFailure,
        },
    };
}
