using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using ModelOps.Cli.Jobs;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <param name="Reused">Whether an earlier job had made it.</param>
/// <param name="Resumed">Whether an earlier job was gone on with.</param>
internal sealed record JobOutcome<T>(Job Job, T Result, bool Reused, bool Resumed);

/// <summary>Jobs by what they are asked to do: what one has made is not made again, one that is at it is joined, one that was stopped goes on.</summary>
internal sealed class QuickstartJobs(ModelOpsClient client)
{
    // Newest first: what lies behind so many is made anew.
    private const int JobsSearched = 200;

    // A worker stores a checkpoint before it stops.
    private static readonly TimeSpan CancelTimeout = TimeSpan.FromSeconds(15);

    /// <summary>A job that an interruption could not cancel, and why; null: none.</summary>
    public string? LeftBehind { get; private set; }

    /// <param name="asked">The job's input, without who asks and without what is null.</param>
    public Task<JobOutcome<T>> RunAsync<T>(
        string kind, JsonObject asked, Func<Task<Job>> start, JsonTypeInfo<T> type, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken) =>
        RunAsync(kind, input => JsonNode.DeepEquals(Essence(input), asked), start, type, progress, cancellationToken);

    /// <param name="same">Whether a job with this input does what is wanted.</param>
    /// <exception cref="ModelOpsException">The job failed.</exception>
    public async Task<JobOutcome<T>> RunAsync<T>(
        string kind, Func<JsonElement, bool> same, Func<Task<Job>> start, JsonTypeInfo<T> type, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var earlier = await client.Jobs.ListAsync(new JobFilter { Kind = kind }, cancellationToken)
            .Take(JobsSearched).Where(job => same(job.Input)).ToListAsync(cancellationToken);
        foreach (var done in earlier.Where(job => job.State == JobState.Succeeded))
        {
            if (await AreThereAsync(done.Artifacts, cancellationToken))
            {
                return new(done, ResultOf(done, type), Reused: true, Resumed: false);
            }
        }
        var stopped = earlier.Find(job => !job.State.IsFinal) ?? earlier.Find(job => job.State == JobState.Canceled);
        var job = stopped switch
        {
            null => await start(),
            { State: JobState.Paused } => await client.Jobs.ResumeAsync(stopped.Id, cancellationToken),
            { State: JobState.Canceled } => await client.Jobs.RetryAsync(stopped.Id, cancellationToken),
            _ => stopped,
        };
        var ended = await FinishAsync(job, progress, cancellationToken);
        return new(ended, ResultOf(ended, type), Reused: false, Resumed: stopped is not null);
    }

    /// <summary>Follows a job; interrupting cancels it, for nobody else waits for it.</summary>
    private async Task<Job> FinishAsync(Job job, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        try
        {
            return (await JobWatch.FollowAsync(client, job, progress, cancellationToken)).Job;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            progress.Report(new ProgressUpdate("canceling", 0, null));
            await CancelAsync(job);
            throw;
        }
    }

    /// <summary>Cancels and waits for its end: a server that stops first would take the checkpoint with it.</summary>
    private async Task CancelAsync(Job job)
    {
        using var timeout = new CancellationTokenSource(CancelTimeout);
        try
        {
            await client.Jobs.CancelAsync(job.Id, timeout.Token);
            await client.Jobs.WatchAsync(job.Id, cancellationToken: timeout.Token).LastAsync(timeout.Token);
        }
        catch (ModelOpsException exception) when (exception.Problem.Type == ProblemTypes.Conflict)
        {
            // It has just ended by itself.
        }
        catch (Exception exception) when (exception is ModelOpsException or OperationCanceledException)
        {
            LeftBehind = $"job {job.Id} could not be canceled ({exception.Message.TrimEnd('.')}); cancel it later: modelops jobs cancel {job.Id}";
        }
    }

    private async Task<bool> AreThereAsync(IReadOnlyList<string> artifacts, CancellationToken cancellationToken)
    {
        foreach (var reference in artifacts)
        {
            try
            {
                if ((await client.Artifacts.GetAsync(reference, cancellationToken)).FilesRemovedAt is not null) return false;
            }
            catch (ModelOpsException exception) when (exception.Problem.Type == ProblemTypes.NotFound)
            {
                return false;
            }
        }
        return true;
    }

    private static JsonObject Essence(JsonElement input) => new(input.EnumerateObject()
        .Where(property => property.Name != "created_by" && property.Value.ValueKind != JsonValueKind.Null)
        .Select(property => KeyValuePair.Create(property.Name, JsonNode.Parse(property.Value.GetRawText()))));

    private static T ResultOf<T>(Job job, JsonTypeInfo<T> type) => job.Result is { } result
        ? result.Deserialize(type)!
        : throw CliProblems.Exception(
            ProblemTypes.Internal, "No result", $"Job {job.Id} ({job.Kind}) succeeded without a result; client and server may differ in version.");
}
