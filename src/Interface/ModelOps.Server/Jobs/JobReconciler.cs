using System.Diagnostics;
using System.Threading.Channels;
using ModelOps.Client;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Exceptions;

namespace ModelOps.Server.Jobs;

/// <summary>
/// Makes workflows out of what the jobs' rows say: starts them, pauses, resumes and cancels them, and closes the rows of those that were ended from
/// outside. All of it may be done twice; so a crash between a row and its workflow is mended by looking again.
/// </summary>
public sealed partial class JobReconciler(
    JobStore store, JobTraces traces, JobMeters meters, WorkflowEngine engine, TimeProvider time, ILogger<JobReconciler> logger) : BackgroundService
{
    private static readonly TimeSpan busy = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan idle = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan insistAfter = TimeSpan.FromSeconds(30);
    private readonly Channel<bool> wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private Dictionary<string, Told> told = new(StringComparer.Ordinal);

    /// <summary>Unfinished jobs of this engine when last looked at.</summary>
    public int Open { get; private set; }

    /// <summary>Looks now, not at the next tick.</summary>
    public void Wake() => wakes.Writer.TryWrite(true);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ReconcileAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                Log.Failed(logger, e);
            }
            await WaitAsync(Open > 0 ? busy : idle, stoppingToken);
        }
    }

    private async Task WaitAsync(TimeSpan longest, CancellationToken stopping)
    {
        using var limit = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        try
        {
            await wakes.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            // It is time to look.
        }
    }

    private async Task ReconcileAsync(CancellationToken cancellationToken)
    {
        var jobs = await store.OpenAsync(engine.Name, cancellationToken);
        Open = jobs.Count;
        meters.Unfinished = [.. jobs.Select(job => (job.Kind, job.State))];
        traces.EndOthers(jobs.Select(job => job.Id).ToHashSet(StringComparer.Ordinal));
        told = told.Where(entry => jobs.Any(job => job.Id == entry.Key)).ToDictionary(StringComparer.Ordinal);
        if (jobs.Count == 0) return;
        var client = await engine.ClientAsync(cancellationToken);
        foreach (var job in jobs)
            try
            {
                await ReconcileAsync(client, job, cancellationToken);
            }
            catch (RpcException e)
            {
                Log.JobFailed(logger, e, job.Id);
            }
    }

    private async Task ReconcileAsync(ITemporalClient client, OpenJob job, CancellationToken cancellationToken)
    {
        if (job.State == JobState.Queued) await StartAsync(client, job, cancellationToken);
        var last = told.GetValueOrDefault(job.Id);
        var same = last is not null && last.Attempt == job.Run.Attempt && last.Wish == job.Wish;
        if (same && time.GetElapsedTime(last!.At) < insistAfter) return;
        told[job.Id] = new(job.Run.Attempt, job.Wish, time.GetTimestamp());
        var workflow = client.GetWorkflowHandle(job.Id);
        try
        {
            if (!IsFulfilled(job)) await TellAsync(workflow, job.Wish, cancellationToken);
            if (last is null || same) await CloseIfEndedAsync(client, workflow, job, cancellationToken);
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound)
        {
            await CloseIfEndedAsync(client, workflow, job, cancellationToken);
        }
    }

    private static bool IsFulfilled(OpenJob job) => job.Wish switch
    {
        JobWish.Pause => job.State == JobState.Paused,
        JobWish.Run => job.State != JobState.Paused,
        _ => false,
    };

    /// <summary>A workflow of that id that runs already is the one that is wanted.</summary>
    private async Task StartAsync(ITemporalClient client, OpenJob job, CancellationToken cancellationToken)
    {
        _ = ActivityContext.TryParse(job.Run.TraceParent, traceState: null, isRemote: true, out var trace);
        await client.StartWorkflowAsync(
            JobKinds.Of(job.Kind).Workflow,
            [job.Input, job.Run],
            new WorkflowOptions(job.Id, WorkerRole.Control.TaskQueue())
            {
                IdReusePolicy = WorkflowIdReusePolicy.AllowDuplicate,
                IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting,
                Priority = new Priority(job.Priority),
                Rpc = new RpcOptions { CancellationToken = cancellationToken },
            });
        Log.Started(logger, job.Id, job.Kind, trace.TraceId.ToHexString());
    }

    private static Task TellAsync(WorkflowHandle workflow, JobWish wish, CancellationToken cancellationToken)
    {
        var rpc = new RpcOptions { CancellationToken = cancellationToken };
        return wish switch
        {
            JobWish.Cancel => workflow.CancelAsync(new WorkflowCancelOptions { Rpc = rpc }),
            JobWish.Pause => workflow.SignalAsync("pause", [], new WorkflowSignalOptions { Rpc = rpc }),
            _ => workflow.SignalAsync("resume", [], new WorkflowSignalOptions { Rpc = rpc }),
        };
    }

    /// <summary>A workflow tells how it ended before it ends; one that did not was ended by somebody else, or is lost.</summary>
    private async Task CloseIfEndedAsync(ITemporalClient client, WorkflowHandle workflow, OpenJob job, CancellationToken cancellationToken)
    {
        if (job.State == JobState.Queued) return;
        WorkflowExecutionStatus status;
        try
        {
            status = (await workflow.DescribeAsync(new WorkflowDescribeOptions { Rpc = new RpcOptions { CancellationToken = cancellationToken } })).Status;
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound)
        {
            Log.Lost(logger, job.Id);
            await StartAsync(client, job, cancellationToken);
            return;
        }
        if (status is WorkflowExecutionStatus.Running or WorkflowExecutionStatus.ContinuedAsNew) return;
        var error = new JobFailure(
            ActivityFailures.Internal, $"its workflow ended without a word ({status.ToString().ToLowerInvariant()}): somebody ended it outside of ModelOps");
        if (await store.ApplyAsync(job.Id, new JobChange(job.Run, JobPhase.Failed, Error: error), result: null, cancellationToken))
            Log.Ended(logger, job.Id, status);
    }

    /// <param name="At">When the workflow was told the wish, or last looked at.</param>
    private sealed record Told(int Attempt, JobWish Wish, long At);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "job {Id} ({Kind}) goes to its workflow, trace {TraceId}")]
        public static partial void Started(ILogger logger, string id, string kind, string traceId);

        [LoggerMessage(2, LogLevel.Error, "the jobs could not be looked at; trying again")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(3, LogLevel.Error, "the workflow of job {Id} could not be reached; trying again")]
        public static partial void JobFailed(ILogger logger, Exception exception, string id);

        [LoggerMessage(4, LogLevel.Warning, "the workflow of job {Id} is not there; it begins again")]
        public static partial void Lost(ILogger logger, string id);

        [LoggerMessage(5, LogLevel.Error, "the workflow of job {Id} ended as {Status} without a word")]
        public static partial void Ended(ILogger logger, string id, WorkflowExecutionStatus status);
    }
}
