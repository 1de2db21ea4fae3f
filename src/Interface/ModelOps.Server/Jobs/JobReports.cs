using System.Collections.Concurrent;
using ModelOps.Client;
using ModelOps.Server.Training;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;
using Temporalio.Exceptions;

namespace ModelOps.Server.Jobs;

/// <summary>Takes what workers tell of the activities that they run, and remembers who runs what.</summary>
public sealed partial class JobReports(JobStore store, JobMetrics metrics, JobSamples samples, JobMeters meters, WorkflowEngine engine, TimeProvider time, ILogger<JobReports> logger)
{
    private readonly ConcurrentDictionary<string, Running> byWorker = new(StringComparer.Ordinal);

    public async Task AcceptAsync(string job, JobReport report, CancellationToken cancellationToken)
    {
        var now = time.GetTimestamp();
        var stage = report.Progress?.Stage;
        var known = byWorker.GetValueOrDefault(report.Worker);
        var again = known is null || (known.Job, known.ActivityId, known.Attempt) != (job, report.ActivityId, report.Attempt);
        var running = again || (stage is not null && stage != known!.Stage)
            ? new Running(job, report.ActivityId, report.Attempt, stage ?? "", report.Progress?.Step ?? 0, now)
            : known!;
        byWorker[report.Worker] = running;
        if (again && report.Attempt > 1) meters.TriedAgain(report.Activity);
        meters.Tell(job, report);
        var message = again && report.Attempt > 1 ? $"attempt {report.Attempt} of {report.Activity} begins, worker {report.Worker}" : null;
        await samples.AddAsync(job, report.Samples ?? [], cancellationToken); // before the events that tell of them
        foreach (var said in report.Messages ?? []) await store.ReportAsync(job, report.Activity, progress: null, said, cancellationToken);
        if (report.Progress is not null || message is not null)
            await store.ReportAsync(job, report.Activity, ToWire(report.Progress, running, now), message, cancellationToken);
        await store.LogAsync(job, report.Activity, report.Attempt, report.Lines, cancellationToken);
        await metrics.AddAsync(job, report.Points ?? [], cancellationToken);
    }

    /// <summary>
    /// What a worker ran that is known to be dead is over: its next attempt begins now and not when its heartbeats are missed, and the job says why.
    /// </summary>
    /// <param name="worker">As it names itself in its reports.</param>
    /// <param name="how">For people: <c>the training worker was killed by SIGABRT</c>.</param>
    public async Task WorkerDiedAsync(string worker, string how, CancellationToken cancellationToken)
    {
        if (!byWorker.TryRemove(worker, out var lost)) return;
        await store.ReportAsync(lost.Job, step: null, progress: null, $"{how} while it ran this", cancellationToken);
        await store.LogAsync(lost.Job, step: null, attempt: null, [new(time.GetUtcNow(), $"{LogLevel.Error}", $"{how} while it ran a step of the job")], cancellationToken);
        try
        {
            var client = await engine.ClientAsync(cancellationToken);
            await client.GetAsyncActivityHandle(lost.Job, null!, lost.ActivityId)
                .FailAsync(new ApplicationFailureException($"{how} while it ran this", ActivityFailures.WorkerDied));
        }
        catch (RpcException e)
        {
            Log.NotFailed(logger, e, lost.Job); // its heartbeats are missed soon
        }
    }

    private JobProgress? ToWire(ActivityProgress? progress, Running running, long now)
    {
        if (progress is null) return null;
        var (done, passed) = (progress.Step - running.FirstStep, time.GetElapsedTime(running.Since, now));
        double? eta = progress.Total is { } total && done > 0 ? Math.Round(Math.Max(0, total - progress.Step) * passed.TotalSeconds / done, 1) : null;
        return new(progress.Stage, progress.Step, progress.Total, progress.Metrics, eta);
    }

    /// <param name="FirstStep">The first that was told of the stage, at the timestamp <paramref name="Since"/>.</param>
    private sealed record Running(string Job, string ActivityId, int Attempt, string Stage, long FirstStep, long Since);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "the activity of job {Job} whose worker died could not be failed")]
        public static partial void NotFailed(ILogger logger, Exception exception, string job);
    }
}
