using ModelOps.Server.Telemetry;
using ModelOps.Storage;
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
        using var alive = new CancellationTokenSource();
        var heartbeats = context.Info.HeartbeatTimeout is null ? Task.CompletedTask : BeatAsync(context, alive.Token);
        try
        {
            return await run(context.Info.WorkflowId!, input, context.CancellationToken);
        }
        catch (ActivityException e)
        {
            span.Fail(e.FailureType, e.Message);
            throw new ApplicationFailureException(e.Message, e, e.FailureType);
        }
        catch (IOException e) when (e is ObjectStoreException || DiskSpace.IsShort(e))
        {
            var failure = e is ObjectStoreException ? ActivityFailures.Unavailable : ActivityFailures.DiskFull;
            span.Fail(failure, e.Message);
            throw new ApplicationFailureException(e.Message, e, failure);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            span.Fail(ActivityFailures.Internal, e.Message);
            throw new ApplicationFailureException($"an unexpected error: {e.Message}", e, ActivityFailures.Internal);
        }
        finally
        {
            await alive.CancelAsync();
            await heartbeats;
        }
    }

    /// <summary>Of an activity that may take minutes: that the server died is noticed before they are over.</summary>
    private static async Task BeatAsync(ActivityExecutionContext context, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(ActivityLimits.HeartbeatInterval);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken)) context.Heartbeat();
        }
        catch (OperationCanceledException)
        {
            // The activity is over.
        }
    }
}
