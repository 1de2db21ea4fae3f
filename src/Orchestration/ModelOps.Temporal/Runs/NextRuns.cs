using ModelOps.Temporal.Schedules;
using Temporalio.Api.Command.V1;

namespace ModelOps.Temporal;

/// <summary>The run that continues another one: by itself (continue-as-new), by retry policy or by cron.</summary>
internal sealed record NextRun(string RunId, WorkflowExecutionStartedEventAttributes Start);

internal static class NextRuns
{
    public static NextRun ByWorkflow(Run run, ContinueAsNewWorkflowExecutionCommandAttributes wanted)
    {
        var next = Following(run, ContinueAsNewInitiator.Workflow);
        var start = next.Start;
        start.WorkflowType = wanted.WorkflowType ?? start.WorkflowType;
        start.TaskQueue = wanted.TaskQueue is { Name.Length: > 0 } ? wanted.TaskQueue : start.TaskQueue;
        start.Input = wanted.Input;
        start.Header = wanted.Header;
        start.Attempt = 1;
        start.WorkflowRunTimeout = wanted.WorkflowRunTimeout.IsSet() ? wanted.WorkflowRunTimeout : start.WorkflowRunTimeout;
        start.WorkflowTaskTimeout = wanted.WorkflowTaskTimeout.IsSet() ? wanted.WorkflowTaskTimeout : start.WorkflowTaskTimeout;
        start.RetryPolicy = wanted.RetryPolicy is { } policy ? RetryPolicies.WithDefaults(policy) : start.RetryPolicy;
        start.Memo = wanted.Memo ?? run.Properties.Memo.Clone();
        start.SearchAttributes = wanted.SearchAttributes ?? run.Properties.SearchAttributes.Clone();
        start.FirstWorkflowTaskBackoff = wanted.BackoffStartInterval;
        start.LastCompletionResult = wanted.LastCompletionResult ?? start.LastCompletionResult;
        return next;
    }

    /// <returns>Null when the run has no cron schedule, or the schedule no further time.</returns>
    public static NextRun? ByCron(Run run, Payloads? result, Failure? failure)
    {
        if (run.Start.CronSchedule.Length == 0
            || WorkflowCron.Parse(run.Start.CronSchedule).Next(run.Lifetime.ExecutionTime, run.Now) is not { } nextTime)
        {
            return null;
        }
        var next = Following(run, ContinueAsNewInitiator.CronSchedule);
        next.Start.Attempt = 1;
        next.Start.FirstWorkflowTaskBackoff = Duration.FromTimeSpan(nextTime - run.Now);
        next.Start.LastCompletionResult = failure is null ? result : run.Start.LastCompletionResult;
        next.Start.ContinuedFailure = failure;
        return next;
    }

    /// <summary>A failed run is tried again as its retry policy says, else its cron schedule goes on.</summary>
    public static (RetryState State, NextRun? Next) AfterFailure(Run run, Failure failure, DateTimeOffset expiration)
    {
        if (run.Start.RetryPolicy is not { } policy)
            return (RetryState.RetryPolicyNotSet, ByCron(run, null, failure));
        var decision = RetryPolicies.Decide(policy, run.Start.Attempt, failure, run.Now, expiration);
        if (decision.Delay is not { } delay)
            return (decision.State, ByCron(run, null, failure));
        var next = Following(run, ContinueAsNewInitiator.Retry);
        next.Start.Attempt = run.Start.Attempt + 1;
        next.Start.FirstWorkflowTaskBackoff = Duration.FromTimeSpan(delay);
        next.Start.ContinuedFailure = failure;
        return (decision.State, next);
    }

    private static NextRun Following(Run run, ContinueAsNewInitiator initiator)
    {
        var runId = $"{Guid.NewGuid()}";
        var start = run.Start.Clone();
        start.ContinuedExecutionRunId = run.Key.RunId;
        start.OriginalExecutionRunId = runId;
        start.Initiator = initiator;
        start.ContinuedFailure = null;
        return new(runId, start);
    }
}
