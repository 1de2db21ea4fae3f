using ModelOps.Temporal.Schedules;

namespace ModelOps.Temporal;

/// <summary>The first event of a run, made of what asked for it.</summary>
internal static class StartEvents
{
    private static readonly Duration defaultTaskTimeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(10));
    private static readonly TimeSpan longestTaskTimeout = TimeSpan.FromMinutes(2);

    public static WorkflowExecutionStartedEventAttributes OfRequest(StartWorkflowExecutionRequest request, string runId, DateTimeOffset now) =>
        Complete(runId, now, new()
        {
            WorkflowType = request.WorkflowType,
            TaskQueue = request.TaskQueue,
            Input = request.Input,
            WorkflowExecutionTimeout = request.WorkflowExecutionTimeout,
            WorkflowRunTimeout = request.WorkflowRunTimeout,
            WorkflowTaskTimeout = request.WorkflowTaskTimeout,
            ContinuedFailure = request.ContinuedFailure,
            LastCompletionResult = request.LastCompletionResult,
            Identity = request.Identity,
            RetryPolicy = request.RetryPolicy,
            CronSchedule = request.CronSchedule,
            FirstWorkflowTaskBackoff = request.WorkflowStartDelay,
            Memo = request.Memo,
            SearchAttributes = request.SearchAttributes,
            Header = request.Header,
            WorkflowId = request.WorkflowId,
            Priority = request.Priority,
        });

    public static WorkflowExecutionStartedEventAttributes OfChild(
        StartChildWorkflowExecutionInitiatedEventAttributes wanted, string runId, Run parent, long initiatedEventId, DateTimeOffset now) =>
        Complete(runId, now, new()
        {
            WorkflowType = wanted.WorkflowType,
            ParentWorkflowNamespace = parent.Key.Namespace,
            ParentWorkflowNamespaceId = parent.Key.Namespace,
            ParentWorkflowExecution = parent.Execution,
            ParentInitiatedEventId = initiatedEventId,
            RootWorkflowExecution = parent.Start.RootWorkflowExecution ?? parent.Execution,
            TaskQueue = wanted.TaskQueue,
            Input = wanted.Input,
            WorkflowExecutionTimeout = wanted.WorkflowExecutionTimeout,
            WorkflowRunTimeout = wanted.WorkflowRunTimeout,
            WorkflowTaskTimeout = wanted.WorkflowTaskTimeout,
            RetryPolicy = wanted.RetryPolicy,
            CronSchedule = wanted.CronSchedule,
            Memo = wanted.Memo,
            SearchAttributes = wanted.SearchAttributes,
            Header = wanted.Header,
            WorkflowId = wanted.WorkflowId,
            Priority = wanted.Priority,
        });

    private static WorkflowExecutionStartedEventAttributes Complete(
        string runId, DateTimeOffset now, WorkflowExecutionStartedEventAttributes start)
    {
        start.OriginalExecutionRunId = runId;
        start.FirstExecutionRunId = runId;
        start.Attempt = 1;
        start.RetryPolicy = start.RetryPolicy is { } policy ? RetryPolicies.WithDefaults(policy) : null;
        start.WorkflowTaskTimeout = !start.WorkflowTaskTimeout.IsSet() ? defaultTaskTimeout
            : start.WorkflowTaskTimeout.ToTimeSpan() > longestTaskTimeout ? Duration.FromTimeSpan(longestTaskTimeout)
            : start.WorkflowTaskTimeout;
        start.WorkflowRunTimeout = Times.Shorter(start.WorkflowRunTimeout, start.WorkflowExecutionTimeout);
        if (start.CronSchedule.Length > 0 && WorkflowCron.Parse(start.CronSchedule).Next(now, now) is { } first)
            start.FirstWorkflowTaskBackoff = Duration.FromTimeSpan(first - now);
        if (start.WorkflowExecutionTimeout.IsSet())
        {
            var expires = start.WorkflowExecutionTimeout.Limit(now + start.FirstWorkflowTaskBackoff.OrZero());
            start.WorkflowExecutionExpirationTime = Timestamp.FromDateTimeOffset(expires);
        }
        return start;
    }
}
