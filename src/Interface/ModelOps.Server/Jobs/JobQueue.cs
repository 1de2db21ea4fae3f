using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;
using ModelOps.Client;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>What a kind of job does: its input and result as JSON, the work by activities.</summary>
/// <param name="Role">The role whose workers do most of it.</param>
/// <param name="Run">Runs the workflow; the result is the kind's wire type.</param>
public sealed record JobKind(string Name, WorkerRole Role, Func<JsonElement, IActivityInvoker, CancellationToken, Task<JsonElement>> Run);

/// <summary>Runs jobs in the background, of each kind as many at a time as its role may have workers, in order of arrival.</summary>
public sealed partial class JobQueue(
    IEnumerable<JobKind> kinds, JobStore store, ActivityInvokerFactory invokers, WorkersOptions workers, ArtifactRefusals refusals, TimeProvider time,
    ILogger<JobQueue> logger) : BackgroundService
{
    private static readonly ActivitySource source = new("ModelOps.Server.Jobs");
    private static readonly TimeSpan pause = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, (JobKind Kind, Channel<string> Waiting)> queues =
        kinds.ToDictionary(kind => kind.Name, kind => (kind, Channel.CreateUnbounded<string>()), StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, CancellationTokenSource> running = new(StringComparer.Ordinal);

    /// <summary>Recorded before it is answered: it survives a crash of the server.</summary>
    public async Task<Job> EnqueueAsync(string kind, JsonElement input, CancellationToken cancellationToken)
    {
        var job = await store.CreateAsync(kind, input, cancellationToken);
        queues[kind].Waiting.Writer.TryWrite(job.Id);
        return job;
    }

    /// <returns>The job as it is afterwards; null if there is none of that id. A running job ends at its next step.</returns>
    public async Task<Job?> CancelAsync(string id, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(id, cancellationToken) is not { } job) return null;
        if (job.State == JobState.Queued) await store.CancelAsync(id, cancellationToken);
        else if (job.State == JobState.Running) await store.RequestCancelAsync(id, cancellationToken);
        if (running.TryGetValue(id, out var stop)) await stop.CancelAsync();
        return await store.GetAsync(id, cancellationToken);
    }

    /// <summary>Jobs of that role that are not begun.</summary>
    public int Waiting(WorkerRole role) => queues.Values.Where(queue => queue.Kind.Role == role).Sum(queue => queue.Waiting.Reader.Count);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        foreach (var job in await UnfinishedAsync(stoppingToken)) queues[job.Kind].Waiting.Writer.TryWrite(job.Id);
        await Task.WhenAll(queues.Values.SelectMany(queue => Enumerable
            .Repeat(queue, workers.Of(queue.Kind.Role).Max)
            .Select(queue => ConsumeAsync(queue.Kind, queue.Waiting.Reader, stoppingToken))));
    }

    /// <summary>Tries until it can: a database that does not answer for a moment ends no server.</summary>
    private async Task<IReadOnlyList<Job>> UnfinishedAsync(CancellationToken stopping)
    {
        while (true)
        {
            try
            {
                return await store.UnfinishedAsync(stopping);
            }
            catch (Exception e) when (!stopping.IsCancellationRequested)
            {
                Log.NotRead(logger, e);
                await Task.Delay(pause, time, stopping);
            }
        }
    }

    private async Task ConsumeAsync(JobKind kind, ChannelReader<string> waiting, CancellationToken stopping)
    {
        await foreach (var id in waiting.ReadAllAsync(stopping))
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            running[id] = stop;
            try
            {
                await RunAsync(kind, id, stop.Token, stopping);
            }
            catch (Exception e) when (!stopping.IsCancellationRequested)
            {
                Log.Lost(logger, e, id);
            }
            finally
            {
                running.TryRemove(id, out _);
            }
        }
    }

    private async Task RunAsync(JobKind kind, string id, CancellationToken cancel, CancellationToken stopping)
    {
        if (await store.GetAsync(id, stopping) is not { } job || JobStore.IsFinal(job.State)) return; // canceled while it waited
        if (await store.IsCancelRequestedAsync(id, stopping))
        {
            await store.CancelAsync(id, stopping);
            return;
        }
        // The trace that the job's lines here and in its workers share, also where nobody listens for spans.
        using var span = source.CreateActivity($"job {kind.Name}", ActivityKind.Internal) ?? new Activity($"job {kind.Name}");
        span.SetTag("modelops.job.id", id).Start();
        await store.StartAsync(id, stopping);
        Log.Started(logger, id, kind.Name);
        await using var progress = new ProgressWriter(id, store, time);
        try
        {
            var result = await kind.Run(job.Input, invokers.For(progress), cancel);
            await progress.FlushAsync();
            await store.SucceedAsync(id, result, CancellationToken.None);
            Log.Succeeded(logger, id);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Not an end: the job is still recorded as running, and the next start takes it up again.
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await store.CancelAsync(id, CancellationToken.None);
            Log.Canceled(logger, id);
        }
        catch (ActivityException e)
        {
            await progress.FlushAsync();
            if (e.FailureType == ActivityFailures.VerificationFailed)
                await refusals.RecordAsync(CreatorOf(job), kind.Name, e.Message, CancellationToken.None);
            await store.FailAsync(id, new JobError(e.FailureType, e.Message), CancellationToken.None);
            Log.Failed(logger, id, e.FailureType, e.Message);
        }
        catch (Exception e)
        {
            Log.Crashed(logger, e, id);
            await store.FailAsync(
                id, new JobError(ActivityFailures.Internal, $"an unexpected error: {e.Message}; the server's log has the details"), CancellationToken.None);
        }
    }

    private static string CreatorOf(Job job) =>
        job.Input.TryGetProperty("created_by", out var by) && by.GetString() is { } name ? name : "modelops";

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "job {Id} ({Kind}) started")]
        public static partial void Started(ILogger logger, string id, string kind);

        [LoggerMessage(2, LogLevel.Information, "job {Id} succeeded")]
        public static partial void Succeeded(ILogger logger, string id);

        [LoggerMessage(3, LogLevel.Information, "job {Id} canceled")]
        public static partial void Canceled(ILogger logger, string id);

        [LoggerMessage(4, LogLevel.Warning, "job {Id} failed ({Type}): {Reason}")]
        public static partial void Failed(ILogger logger, string id, string type, string reason);

        [LoggerMessage(5, LogLevel.Error, "job {Id} crashed")]
        public static partial void Crashed(ILogger logger, Exception exception, string id);

        [LoggerMessage(6, LogLevel.Error, "the end of job {Id} could not be recorded; it is run again at the next start")]
        public static partial void Lost(ILogger logger, Exception exception, string id);

        [LoggerMessage(7, LogLevel.Error, "the unfinished jobs could not be read; trying again")]
        public static partial void NotRead(ILogger logger, Exception exception);
    }
}
