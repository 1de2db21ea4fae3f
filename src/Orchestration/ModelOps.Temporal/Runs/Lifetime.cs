using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>A run's start, its limits and its end.</summary>
internal sealed class Lifetime(Run run) : RunPart(run)
{
    private bool hadWorkflowTask;

    public WorkflowExecutionStartedEventAttributes Start { get; private set; } = new();
    public WorkflowExecutionStatus Status { get; private set; } = WorkflowExecutionStatus.Running;
    public DateTimeOffset StartTime { get; private set; }
    public DateTimeOffset? CloseTime { get; private set; }

    /// <summary>The first workflow task waits for a start delay, a retry or the next time of a cron schedule.</summary>
    public bool InBackoff => !hadWorkflowTask && Run.Now < BackoffEnd;

    public override DateTimeOffset Deadline =>
        hadWorkflowTask ? TimeoutAt : Times.Min(BackoffEnd, TimeoutAt);

    private DateTimeOffset BackoffEnd => StartTime + Start.FirstWorkflowTaskBackoff.OrZero();

    private DateTimeOffset TimeoutAt => Times.Min(
        Start.WorkflowRunTimeout.Limit(BackoffEnd),
        Start.WorkflowExecutionExpirationTime?.ToDateTimeOffset() ?? DateTimeOffset.MaxValue);

    public override void Apply(HistoryEvent applied)
    {
        switch (applied.AttributesCase)
        {
            case AttributesCase.WorkflowExecutionStartedEventAttributes:
                Start = applied.WorkflowExecutionStartedEventAttributes;
                StartTime = applied.EventTime.ToDateTimeOffset();
                break;
            case AttributesCase.WorkflowTaskScheduledEventAttributes:
                hadWorkflowTask = true;
                break;
            default:
                if (ClosingStatus(applied) is not { } status)
                    break;
                Status = status;
                CloseTime = applied.EventTime.ToDateTimeOffset();
                break;
        }
    }

    /// <summary>Writes the first event; the first workflow task follows at once or after the backoff.</summary>
    public void Begin(WorkflowExecutionStartedEventAttributes start)
    {
        Run.Append(new() { WorkflowExecutionStartedEventAttributes = start });
        Run.Task.Schedule();
    }

    public void Complete(Payloads? result, long completedEventId) => Close(new()
    {
        WorkflowExecutionCompletedEventAttributes = new() { Result = result, WorkflowTaskCompletedEventId = completedEventId },
    });

    public void Fail(Failure failure, long completedEventId) => Close(new()
    {
        WorkflowExecutionFailedEventAttributes = new()
        {
            Failure = failure,
            RetryState = RetryState.RetryPolicyNotSet,
            WorkflowTaskCompletedEventId = completedEventId,
        },
    });

    public void TimeOut() => Close(new() { WorkflowExecutionTimedOutEventAttributes = new() { RetryState = RetryState.Timeout } });

    public override void Elapse(DateTimeOffset now)
    {
        if (TimeoutAt <= now)
            TimeOut();
        else if (!hadWorkflowTask && BackoffEnd <= now)
            Run.Task.Schedule();
    }

    private static WorkflowExecutionStatus? ClosingStatus(HistoryEvent applied) => applied.AttributesCase switch
    {
        AttributesCase.WorkflowExecutionCompletedEventAttributes => WorkflowExecutionStatus.Completed,
        AttributesCase.WorkflowExecutionFailedEventAttributes => WorkflowExecutionStatus.Failed,
        AttributesCase.WorkflowExecutionCanceledEventAttributes => WorkflowExecutionStatus.Canceled,
        AttributesCase.WorkflowExecutionTerminatedEventAttributes => WorkflowExecutionStatus.Terminated,
        AttributesCase.WorkflowExecutionTimedOutEventAttributes => WorkflowExecutionStatus.TimedOut,
        AttributesCase.WorkflowExecutionContinuedAsNewEventAttributes => WorkflowExecutionStatus.ContinuedAsNew,
        _ => null,
    };

    private void Close(HistoryEvent end, NextRun? next = null)
    {
        Run.FlushInbox();
        Run.Task.Abandon();
        Run.Append(end);
        Run.Effects.Enqueue(new Effect.Closed(end, next));
    }
}
