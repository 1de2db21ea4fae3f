using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Training;

/// <summary>
/// Training whose worker is killed, that is paused, canceled and retried, and whose server loses its power goes on from its checkpoints: it makes
/// the very adapter of a job that nothing happened to, by the same losses.
/// </summary>
public sealed partial class InterruptedTrainingTests(TrainingServer server) : IClassFixture<TrainingServer>
{
    private const int Steps = 400;
    private static readonly string[] courses = ["loss", "validation_loss", "learning_rate", "grad_norm"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Training_KilledPausedRetriedRestarted_MakesTheAdapterOfAnUndisturbedJob()
    {
        var undisturbed = await server.SucceedAsync(await StartAsync("undisturbed"));
        var job = await StartAsync("disturbed");
        var jobs = server.Client.Jobs;

        // 1. The worker is killed.
        var seen = await UntilStoredAsync(job, after: 0);
        using (var worker = Process.GetProcessById(TestServer.Workers(server.Home, "training").Single())) worker.Kill();
        seen = await UntilItGoesOnAsync(job, seen);

        // 2. The user pauses it, looks at what is kept, and resumes it.
        await jobs.PauseAsync(job.Id, Cancel);
        seen = await server.UntilAsync(job, seen, next => next.State == JobState.Paused);
        var kept = await jobs.ListCheckpointsAsync(job.Id, Cancel);
        Assert.InRange(kept.Count, 1, 3);
        Assert.Equal(kept, (await jobs.GetAsync(job.Id, Cancel)).Checkpoints);
        Assert.All(kept, one => Assert.True(one is { Step: > 0 and < Steps, Size: > 1000, Loss: > 0 }, $"{one}"));
        await jobs.ResumeAsync(job.Id, Cancel);
        seen = await UntilItGoesOnAsync(job, seen, at: kept[^1].Step);

        // 3. The user cancels it, and runs it again.
        await jobs.CancelAsync(job.Id, Cancel);
        seen = await server.UntilAsync(job, seen, next => next.State == JobState.Canceled);
        await jobs.RetryAsync(job.Id, Cancel);
        seen = await UntilItGoesOnAsync(job, seen);

        // 4. The server is killed, and its workers with it.
        await server.RestartAsync();
        await UntilItGoesOnAsync(job, seen);

        // 5. It ends as if nothing had been, and keeps nothing to go on from.
        var ended = await server.SucceedAsync(job);
        Assert.Null(ended.Checkpoints);
        Assert.Empty(await server.Client.Jobs.ListCheckpointsAsync(job.Id, Cancel));
        var (one, two) = (await server.Client.Artifacts.GetAsync("undisturbed", Cancel), await server.Client.Artifacts.GetAsync("disturbed", Cancel));
        Assert.Equal(one.Files, two.Files);
        Assert.Equal(Result(undisturbed).LossAfter, Result(ended).LossAfter);
        var (expected, found) = (await CoursesAsync(undisturbed), await CoursesAsync(job));
        Assert.Equal(Steps, expected["loss"].Count);
        Assert.Equal(Enumerable.Range(0, (Steps / 50) + 1).Select(i => 50L * i), expected["validation_loss"].Select(point => point.Step));
        Assert.All(courses, name => Assert.Equal(expected[name], found[name]));
    }

    private async Task<Job> StartAsync(string name) => await server.Client.Jobs.StartTrainingAsync(
        new CreateTraining
        {
            Base = "base",
            Dataset = "rows",
            Name = name,
            Recipe = JsonElement.Parse("""{"batch_size": 1, "sequence_length": 64, "dropout": 0.1, "rank": 4, "validate_every": 50, "checkpoint_seconds": 0.2, "seed": 7}"""),
            MaxSteps = Steps,
        },
        Cancel);

    private Task<long> UntilStoredAsync(Job job, long after) =>
        server.UntilAsync(job, after, next => next.Message?.Contains("the checkpoint after step", StringComparison.Ordinal) == true);

    /// <returns>The number of an event behind that, at which it has trained on and stored a checkpoint.</returns>
    private async Task<long> UntilItGoesOnAsync(Job job, long after, int? at = null)
    {
        var step = 0;
        var seen = await server.UntilAsync(job, after, next =>
        {
            if (next.Message is null || GoesOn().Match(next.Message) is not { Success: true } said) return false;
            step = int.Parse(said.Groups["step"].ValueSpan, CultureInfo.InvariantCulture);
            return true;
        });
        Assert.InRange(step, at ?? 1, at ?? (Steps - 1));
        return await UntilStoredAsync(job, seen);
    }

    private async Task<Dictionary<string, IReadOnlyList<(long Step, double Value)>>> CoursesAsync(Job job) =>
        (await server.Client.Jobs.GetMetricsAsync(job.Id, courses, cancellationToken: Cancel))
            .ToDictionary(series => series.Name, IReadOnlyList<(long, double)> (series) => [.. series.Points.Select(point => (point.Step, point.Value))]);

    private static TrainingResult Result(Job job) => job.Result!.Value.Deserialize(WireJson.Default.TrainingResult)!;

    [GeneratedRegex("goes on at step (?<step>[0-9]+) of 400, from a checkpoint", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex GoesOn();
}
