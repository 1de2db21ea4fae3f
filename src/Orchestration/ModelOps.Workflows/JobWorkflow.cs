using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <summary>
/// What every job's workflow does besides its steps: tells the job's record how it goes, waits while it is paused, and answers where it stands.
/// </summary>
/// <remarks>
/// Pausing cancels the step that runs; what it did is kept as far as the activity keeps it (its checkpoint, under the job's id), and resuming runs
/// the step again. Canceling is the workflow's own cancellation.
/// </remarks>
public abstract class JobWorkflow
{
    private CancellationTokenSource? running;
    private string? step;
    private int stepsDone;
    private bool paused;
    private JobRun run = new(1, TraceParent: null);

    [WorkflowSignal("pause")]
    public Task PauseAsync()
    {
        paused = true;
        running?.Cancel(); // CancelAsync would leave the workflow's scheduler
        return Task.CompletedTask;
    }

    [WorkflowSignal("resume")]
    public Task ResumeAsync()
    {
        paused = false;
        return Task.CompletedTask;
    }

    [WorkflowQuery("progress")]
    public JobPosition Position() => new(step, stepsDone, paused);

    /// <summary>The frame around a job's steps: its record says started before the first, and how it ended behind the last.</summary>
    protected async Task<TOutput> RunJobAsync<TOutput>(JobRun job, Func<Task<TOutput>> steps, JsonTypeInfo<TOutput> outputType)
    {
        run = job;
        try
        {
            await RecordAsync(JobPhase.Started);
            var output = await steps();
            await RecordAsync(JobPhase.Succeeded, JsonSerializer.SerializeToElement(output, outputType));
            return output;
        }
        catch (Exception e) when (CancelRequested && Interrupted(e))
        {
            await RecordAsync(JobPhase.Canceled);
            throw new OperationCanceledException("the job was canceled", e, Workflow.CancellationToken);
        }
        catch (FailureException e)
        {
            await RecordAsync(JobPhase.Failed, error: FailureOf(e));
            throw;
        }
    }

    /// <summary>Runs a step on its role's task queue, at once or when the job goes on.</summary>
    internal async Task<TResult> RunStepAsync<TInput, TResult>(Activity<TInput, TResult> activity, TInput input)
    {
        while (true)
        {
            await WaitWhilePausedAsync();
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Workflow.CancellationToken);
            // A question to the registry is over in a moment; what a worker does for hours is stopped.
            if (activity.Role != WorkerRole.Control) running = stop;
            step = activity.Name;
            try
            {
                var result = await ExecuteAsync(activity, input, stop.Token);
                stepsDone++;
                return result;
            }
            catch (Exception e) when (paused && !CancelRequested && Interrupted(e))
            {
                // Again from its checkpoint once the job goes on.
            }
            finally
            {
                running = null;
                step = null;
            }
        }
    }

    internal static bool CancelRequested => Workflow.CancellationToken.IsCancellationRequested;

    private async Task WaitWhilePausedAsync()
    {
        if (!paused) return;
        await RecordAsync(JobPhase.Paused);
        await Workflow.WaitConditionAsync(() => !paused);
        await RecordAsync(JobPhase.Resumed);
    }

    /// <summary>Not canceled with the job: its record says how it ended.</summary>
    private Task<JobChanged> RecordAsync(JobPhase phase, JsonElement? output = null, JobFailure? error = null) =>
        ExecuteAsync(Activities.RecordJob, new JobChange(run, phase, output, error), CancellationToken.None);

    private Task<TResult> ExecuteAsync<TInput, TResult>(Activity<TInput, TResult> activity, TInput input, CancellationToken cancellationToken) =>
        Workflow.ExecuteActivityAsync<TResult>(activity.Name, [input, run], new ActivityOptions
        {
            TaskQueue = activity.Role.TaskQueue(),
            StartToCloseTimeout = activity.Limits.StartToClose,
            HeartbeatTimeout = activity.Limits.Heartbeat,
            RetryPolicy = activity.Limits.Retry,
            CancellationType = ActivityCancellationType.WaitCancellationCompleted,
            CancellationToken = cancellationToken,
        });

    /// <summary>Whether a step that was told to stop ended for it: it said so, or its worker was gone before it could.</summary>
    private static bool Interrupted(Exception e) => TemporalException.IsCanceledException(e)
        || e is ActivityFailureException { InnerException: TimeoutFailureException or ApplicationFailureException { ErrorType: ActivityFailures.WorkerDied } };

    internal static JobFailure FailureOf(FailureException e) => e.InnerException switch
    {
        ApplicationFailureException application => new(application.ErrorType ?? ActivityFailures.Internal, application.Message),
        TimeoutFailureException { TimeoutType: Temporalio.Api.Enums.V1.TimeoutType.Heartbeat } => new(
            ActivityFailures.WorkerDied, "the worker was not heard of any more while it ran this, as often as it is tried; its log has its last words"),
        { } inner => new(ActivityFailures.Internal, inner.Message),
        null => new(ActivityFailures.Internal, e.Message),
    };
}
