using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Jobs;

/// <summary>Follows a job to its end, showing what it does.</summary>
internal static class JobWatch
{
    private const string TrainingStage = "train";
    private const int SparklineWidth = 16;

    /// <summary>The succeeded job. Interrupting leaves it running and says how to come back to it.</summary>
    /// <exception cref="ModelOpsException">It failed or was canceled.</exception>
    public static async Task<Job> ToEndAsync(
        Invocation invocation, ModelOpsClient client, Job job, string title, CancellationToken cancellationToken)
    {
        try
        {
            return await ProgressView.RunAsync(
                invocation, title, async progress => (await FollowAsync(client, job, progress, cancellationToken)).Job);
        }
        catch (OperationCanceledException)
        {
            await invocation.Host.Error.WriteLineAsync(
                $"Job {job.Id} goes on. Watch it: modelops jobs watch {job.Id}   Cancel it: modelops jobs cancel {job.Id}");
            throw;
        }
    }

    /// <summary>The succeeded job and the losses that it reported on its way.</summary>
    /// <exception cref="ModelOpsException">It failed or was canceled.</exception>
    public static async Task<(Job Job, IReadOnlyList<double> Losses)> FollowAsync(
        ModelOpsClient client, Job job, IProgress<ProgressUpdate> progress, CancellationToken cancellationToken)
    {
        var losses = new List<double>();
        await foreach (var jobEvent in client.Jobs.WatchAsync(job.Id, cancellationToken: cancellationToken))
        {
            if (jobEvent.Message is { } message && !jobEvent.State.IsFinal) // the last one's is told with the job's end
            {
                progress.Report(new ProgressUpdate(message, 0, null));
            }
            else if (jobEvent.Progress is { } made)
            {
                if (made.Stage == TrainingStage && made.Metrics.TryGetValue("loss", out var loss))
                {
                    losses.Add(loss);
                }
                progress.Report(new ProgressUpdate(NameOf(made.Stage), made.Step, made.Total, NoteOf(made, losses)));
            }
        }
        var ended = await client.Jobs.GetAsync(job.Id, cancellationToken);
        return ended.State == JobState.Succeeded ? (ended, losses) : throw JobFailed.Of(ended);
    }

    /// <summary>A stage is a word of the contract, such as <c>evaluate_before</c>, or a text in which names like Q8_0 stand.</summary>
    private static string NameOf(string stage) => stage.Contains(' ', StringComparison.Ordinal) ? stage : stage.Replace('_', ' ');

    private static string? NoteOf(JobProgress made, List<double> losses)
    {
        if (made.Metrics.Count == 0)
        {
            return null;
        }
        var loss = made.Metrics.TryGetValue("loss", out var value) ? $"loss {value:0.000}" : "";
        var speed = made.Metrics.TryGetValue("tokens_per_second", out var tokens) ? $"{tokens:#,0} tok/s" : "";
        var left = (made.Metrics.TryGetValue("eta_seconds", out var seconds) ? seconds : made.EtaSeconds) is { } eta ? $"{Human.Duration(TimeSpan.FromSeconds(eta))} left" : "";
        var curve = made.Stage == TrainingStage ? Sparkline.Of(losses, SparklineWidth) : "";
        return string.Join("  ", new[] { loss, curve, left, speed }.Where(part => part.Length > 0));
    }
}
