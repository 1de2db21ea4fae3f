using Temporalio.Api.Command.V1;
using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>A run's start, its limits and its end, with the run that follows it.</summary>
internal sealed class Lifetime(Run run) : RunPart(run)
{
    private bool hadWorkflowTask;
    private bool startDelayEnded;

    public WorkflowExecutionStartedEventAttributes Start { get; private set; } = new();
    public WorkflowExecutionStatus Status { get; private set; } = WorkflowExecutionStatus.Running;
    public UserMetadata? Metadata { get; private set; }
    public DateTimeOffset StartTime { get; private set; }
    public DateTimeOffset? CloseTime { get; private set; }

    /// <summary>The first workflow task waits for a start delay, a retry or the next time of a cron schedule.</summary>
    public bool InBackoff => !hadWorkflowTask && !startDelayEnded && Run.Now < ExecutionTime;

    /// <summary>When the first workflow task is due.</summary>
    public DateTimeOffset ExecutionTime => StartTime + Start.FirstWorkflowTaskBackoff.OrZero();

    public override DateTimeOffset Deadline => hadWorkflowTask ? TimeoutAt : Times.Min(ExecutionTime, TimeoutAt);

    private DateTimeOffset ExecutionExpiration => Start.WorkflowExecutionExpirationTime?.ToDateTimeOffset() ?? DateTimeOffset.MaxValue;

    private DateTimeOffset TimeoutAt => Times.Min(Start.WorkflowRunTimeout.Limit(ExecutionTime), ExecutionExpiration);

    public override void Apply(HistoryEvent applied)
    {
        switch (applied.AttributesCase)
        {
            case AttributesCase.WorkflowExecutionStartedEventAttributes:
                Start = applied.WorkflowExecutionStartedEventAttributes;
                Metadata = applied.UserMetadata;
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
    /// <param name="start">What is started.</param>
    /// <param name="metadata">For its user.</param>
    /// <param name="signal">That it starts with.</param>
    public void Begin(WorkflowExecutionStartedEventAttributes start, UserMetadata? metadata, HistoryEvent? signal = null)
    {
        Run.Append(new() { WorkflowExecutionStartedEventAttributes = start, UserMetadata = metadata });
        if (signal is not null)
        {
            EndStartDelay();
            Run.Append(signal);
        }
        Run.Task.Schedule();
    }

    /// <summary>Whoever needs the workflow now does not wait for its start delay; a retry or cron schedule keeps its time.</summary>
    public void EndStartDelay() => startDelayEnded |= Start.Initiator == ContinueAsNewInitiator.Unspecified && Start.CronSchedule.Length == 0;

    public void Complete(Payloads? result, long completedEventId)
    {
        var next = NextRuns.ByCron(Run, result, failure: null);
        Close(next, new()
        {
            WorkflowExecutionCompletedEventAttributes = new()
            {
                Result = result,
                WorkflowTaskCompletedEventId = completedEventId,
                NewExecutionRunId = next?.RunId ?? "",
            },
        });
    }

    public void Fail(Failure failure, long completedEventId)
    {
        var (state, next) = NextRuns.AfterFailure(Run, failure, ExecutionExpiration);
        Close(next, new()
        {
            WorkflowExecutionFailedEventAttributes = new()
            {
                Failure = failure,
                RetryState = state,
                WorkflowTaskCompletedEventId = completedEventId,
                NewExecutionRunId = next?.RunId ?? "",
            },
        });
    }

    public void Cancel(Payloads? details, long completedEventId) => Close(null, new()
    {
        WorkflowExecutionCanceledEventAttributes = new() { Details = details, WorkflowTaskCompletedEventId = completedEventId },
    });

    public void ContinueAsNew(ContinueAsNewWorkflowExecutionCommandAttributes wanted, long completedEventId)
    {
        var next = NextRuns.ByWorkflow(Run, wanted);
        Close(next, new()
        {
            WorkflowExecutionContinuedAsNewEventAttributes = new()
            {
                NewExecutionRunId = next.RunId,
                WorkflowType = next.Start.WorkflowType,
                TaskQueue = next.Start.TaskQueue,
                Input = next.Start.Input,
                WorkflowRunTimeout = next.Start.WorkflowRunTimeout,
                WorkflowTaskTimeout = next.Start.WorkflowTaskTimeout,
                WorkflowTaskCompletedEventId = completedEventId,
                BackoffStartInterval = next.Start.FirstWorkflowTaskBackoff,
                Initiator = next.Start.Initiator,
                LastCompletionResult = next.Start.LastCompletionResult,
                Header = next.Start.Header,
                Memo = next.Start.Memo,
                SearchAttributes = next.Start.SearchAttributes,
            },
        });
    }

    public void Terminate(string reason, Payloads? details, string identity)
    {
        if (!Run.Closed)
        {
            Close(null, new()
            {
                WorkflowExecutionTerminatedEventAttributes = new() { Reason = reason, Details = details, Identity = identity },
            });
        }
    }

    public override void Elapse(DateTimeOffset now)
    {
        if (TimeoutAt <= now)
            TimeOut(now);
        else if (!hadWorkflowTask && ExecutionTime <= now)
            Run.Task.Schedule();
    }

    /// <summary>Whether an event changes what lists show of a run.</summary>
    public static bool IsVisible(HistoryEvent made) =>
        made.AttributesCase is AttributesCase.WorkflowExecutionStartedEventAttributes
            or AttributesCase.UpsertWorkflowSearchAttributesEventAttributes or AttributesCase.WorkflowPropertiesModifiedEventAttributes
        || ClosingStatus(made) is not null;

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

    /// <summary>The run's time is over; when the execution's is not, a retry policy or a cron schedule goes on.</summary>
    private void TimeOut(DateTimeOffset now)
    {
        var failure = new Failure { Message = "workflow timeout", TimeoutFailureInfo = new() { TimeoutType = TimeoutType.StartToClose } };
        var (state, next) = ExecutionExpiration <= now
            ? (RetryState.Timeout, null)
            : NextRuns.AfterFailure(Run, failure, ExecutionExpiration);
        Close(next, new()
        {
            WorkflowExecutionTimedOutEventAttributes = new() { RetryState = state, NewExecutionRunId = next?.RunId ?? "" },
        });
    }

    private void Close(NextRun? next, HistoryEvent end)
    {
        // A task in flight ends without a trace but its start; what came meanwhile stands in the history.
        Run.Task.Abandon();
        Run.FlushInbox();
        Run.Append(end);
        Run.Effects.Enqueue(new Effect.Closed(end, next));
    }
}
