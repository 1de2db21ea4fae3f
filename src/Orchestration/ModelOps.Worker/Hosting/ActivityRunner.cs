using ModelOps.Storage;
using ModelOps.Workflows;
using Temporalio.Activities;
using Temporalio.Exceptions;

namespace ModelOps.Worker.Hosting;

/// <summary>What surrounds every activity: heartbeats, reports to the job, its failure in the job's words.</summary>
internal sealed partial class ActivityRunner(
    ServerConnection server, ServerLink link, WorkerSpans spans, WorkerOptions options, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<ActivityRunner> logger)
{
    /// <summary>What is known of it stands with the server before its workflow goes on.</summary>
    public async Task<TResult> RunAsync<TInput, TResult>(
        TInput input, JobRun run, Func<TInput, IProgress<ActivityProgress>, CancellationToken, Task<TResult>> activity)
    {
        try
        {
            return await RunInSpanAsync(input, run, activity);
        }
        finally
        {
            await spans.FlushAsync();
        }
    }

    private async Task<TResult> RunInSpanAsync<TInput, TResult>(
        TInput input, JobRun run, Func<TInput, IProgress<ActivityProgress>, CancellationToken, Task<TResult>> activity)
    {
        var context = ActivityExecutionContext.Current;
        var name = context.Info.ActivityType;
        using var span = WorkerSpans.Source.StartIn(run, context.Info);
        using var stages = new StageSpans(span, time);
        using var task = link.Begin();
        await using var reports = new ActivityReports(server, context.Info, options.Identity, stages, time);
        using var alive = new CancellationTokenSource();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        var heartbeats = BeatAsync(context, alive.Token);
        Log.Started(logger, name, context.Info.Attempt);
        try
        {
            var result = await activity(input, reports, stop.Token);
            Log.Finished(logger, name);
            return result;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Log.Canceled(logger, name, context.CancelReason);
            span.Fail("canceled", $"canceled ({context.CancelReason})");
            throw;
        }
        catch (ActivityException e)
        {
            Log.Failed(logger, name, e.FailureType, e.Message);
            stages.Fail(e.FailureType, e.Message);
            span.Fail(e.FailureType, e.Message);
            throw new ApplicationFailureException(e.Message, e, e.FailureType);
        }
        catch (IOException e) when (e is ObjectStoreException || DiskSpace.IsShort(e))
        {
            var pause = PauseAfter(context.Info.Attempt);
            var failure = e is ObjectStoreException ? ActivityFailures.Unavailable : ActivityFailures.DiskFull;
            Log.Lacking(logger, name, e.Message, pause.TotalSeconds);
            stages.Fail(failure, e.Message);
            span.Fail(failure, e.Message);
            throw new ApplicationFailureException(e.Message, e, failure, nextRetryDelay: pause);
        }
        catch (Exception e)
        {
            Log.Crashed(logger, e, name);
            stages.Fail(ActivityFailures.Internal, e.Message);
            span.Fail(ActivityFailures.Internal, e.Message);
            throw new ApplicationFailureException(e.Message, e, ActivityFailures.Internal);
        }
        finally
        {
            await alive.CancelAsync();
            await heartbeats;
        }
    }

    /// <summary>5, 20, 45, 80 s: whoever restarts a store or frees space has two and a half minutes before the job fails.</summary>
    private static TimeSpan PauseAfter(int attempt) => TimeSpan.FromSeconds(5 * attempt * attempt);

    /// <summary>Says that this process lives, whatever the activity does meanwhile, and learns that the activity is canceled.</summary>
    private async Task BeatAsync(ActivityExecutionContext context, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(ActivityLimits.HeartbeatInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken)) context.Heartbeat();
        }
        catch (OperationCanceledException)
        {
            // The activity is over.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "activity {Name} started, attempt {Attempt}")]
        public static partial void Started(ILogger logger, string name, int attempt);

        [LoggerMessage(2, LogLevel.Information, "activity {Name} finished")]
        public static partial void Finished(ILogger logger, string name);

        [LoggerMessage(3, LogLevel.Information, "activity {Name} canceled ({Why})")]
        public static partial void Canceled(ILogger logger, string name, ActivityCancelReason why);

        [LoggerMessage(4, LogLevel.Warning, "activity {Name} failed ({Type}): {Reason}")]
        public static partial void Failed(ILogger logger, string name, string type, string reason);

        [LoggerMessage(5, LogLevel.Error, "activity {Name} crashed")]
        public static partial void Crashed(ILogger logger, Exception exception, string name);

        [LoggerMessage(6, LogLevel.Warning, "activity {Name} cannot go on: {Reason}; it is tried again in {Pause} s if tries are left")]
        public static partial void Lacking(ILogger logger, string name, string reason, double pause);
    }
}
