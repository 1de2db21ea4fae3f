using ModelOps.Client;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A training job whose worker dies, that its user pauses, cancels and runs again: the server stays, nothing half-made is listed.</summary>
public sealed class InterruptedJobTests
{
    [ClusterOnly("InterruptedTrainingTests and SurvivalTests")]
    [Fact]
    public async Task Training_WorkerAbortedThenPausedCanceledRetried_GoesOnEachTimeAndLeavesNothing()
    {
        var cancel = TestContext.Current.CancellationToken;
        var home = TestServer.NewHome();
        await using (var server = await TestServer.StartAsync(home, cancel))
        {
            var jobs = server.Client.Jobs;
            var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), cancel);
            await server.Client.Artifacts.PushAsync("base", "model", files, progress: null, cancel);
            var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
            var ingestion = await server.Client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, cancel);
            Assert.Equal(JobState.Succeeded, (await jobs.WatchAsync(ingestion.Id, cancellationToken: cancel).LastAsync(cancel)).State);
            var job = await jobs.StartTrainingAsync(new CreateTraining { Base = "base", Dataset = "rows", Name = "never", MaxSteps = 100_000 }, cancel);

            // 1. The training process aborts: the job says so in plain words, and its next attempt begins.
            var seen = await UntilAsync(jobs, job, after: 0, Trains, cancel);
            await TestServer.AbortAsync(TestServer.Workers(home, "training").Single(), cancel);
            seen = await UntilAsync(jobs, job, seen, next => next.Message?.Contains("the training worker was ended by SIGABRT", StringComparison.Ordinal) == true, cancel);
            seen = await UntilAsync(jobs, job, seen, next => next.Message?.Contains("attempt 2 of TrainAdapter begins", StringComparison.Ordinal) == true, cancel);
            seen = await UntilAsync(jobs, job, seen, Trains, cancel);

            // 2. Paused it does nothing, resumed it goes on.
            await jobs.PauseAsync(job.Id, cancel);
            seen = await UntilAsync(jobs, job, seen, next => next.State == JobState.Paused, cancel);
            await jobs.ResumeAsync(job.Id, cancel);
            seen = await UntilAsync(jobs, job, seen, Trains, cancel);

            // 3. Canceled it ends, retried it is the same job again.
            await jobs.CancelAsync(job.Id, cancel);
            seen = await UntilAsync(jobs, job, seen, next => next.State == JobState.Canceled, cancel);
            Assert.Equal(2, (await jobs.RetryAsync(job.Id, cancel)).Attempts);
            seen = await UntilAsync(jobs, job, seen, Trains, cancel);
            await jobs.CancelAsync(job.Id, cancel);
            await UntilAsync(jobs, job, seen, next => next.State == JobState.Canceled, cancel);

            // 4. Nothing half-made is listed, no scratch is left.
            Assert.Empty(await server.Client.Artifacts.ListAsync("adapter", cancel));
            await Eventually.HoldsAsync(() => !Directory.EnumerateFileSystemEntries(Path.Combine(home, "tmp", "worker-training-1")).Any(), cancel);
        }
        Directory.Delete(home, recursive: true);
    }

    private static bool Trains(JobEvent next) => next is { State: JobState.Running, Progress: { Stage: "train", Step: > 0 } };

    /// <returns>The number of the event that is as wanted.</returns>
    private static async Task<long> UntilAsync(JobsClient jobs, Job job, long after, Predicate<JobEvent> wanted, CancellationToken cancel)
    {
        var last = default(JobEvent);
        await foreach (var next in jobs.WatchAsync(job.Id, after, cancel))
        {
            if (wanted(next)) return next.Sequence;
            last = next;
        }
        Assert.Fail($"the job ended before: {last?.State} {last?.Message}");
        return 0;
    }
}
