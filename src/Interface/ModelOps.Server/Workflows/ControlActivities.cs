using ModelOps.Server.Telemetry;
using ModelOps.Workflows;
using Temporalio.Activities;
using Temporalio.Exceptions;

namespace ModelOps.Server.Workflows;

/// <summary>Activities that run in the server itself: only the server writes metadata.</summary>
public interface IControlActivities
{
    IEnumerable<ActivityDefinition> Definitions { get; }
}

public static class ControlActivity
{
    /// <param name="run">Gets the id of the job as well. It may be called again after it did its work: a crash can come before that is recorded.</param>
    public static ActivityDefinition Of<TInput, TResult>(
        Activity<TInput, TResult> activity, Func<string, TInput, CancellationToken, Task<TResult>> run) => ActivityDefinition.Create(
            activity.Name,
            typeof(Task<TResult>),
            [typeof(TInput), typeof(JobRun)],
            requiredParameterCount: 2,
            arguments => RunAsync((TInput)arguments[0]!, (JobRun)arguments[1]!, run));

    private static async Task<TResult> RunAsync<TInput, TResult>(TInput input, JobRun job, Func<string, TInput, CancellationToken, Task<TResult>> run)
    {
        var context = ActivityExecutionContext.Current;
        using var span = ServerSpans.Source.StartIn(job, context.Info);
        try
        {
            return await run(context.Info.WorkflowId!, input, context.CancellationToken);
        }
        catch (ActivityException e)
        {
            span.Fail(e.FailureType, e.Message);
            throw new ApplicationFailureException(e.Message, e, e.FailureType);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            span.Fail(ActivityFailures.Internal, e.Message);
            throw new ApplicationFailureException($"an unexpected error: {e.Message}", e, ActivityFailures.Internal);
        }
    }
}
