using System.Diagnostics;
using ModelOps.Client;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A training job whose worker is killed, and one that its user cancels: the server stays, nothing half-made is listed.</summary>
public sealed class InterruptedJobTests
{
    [Fact]
    public async Task Training_KilledThenCanceled_LeavesNothingAndTheServerServes()
    {
        var cancel = TestContext.Current.CancellationToken;
        var home = TestServer.NewHome();
        await using (var server = await TestServer.StartAsync(home, cancel))
        {
            var client = server.Client;
            var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), cancel);
            await client.Artifacts.PushAsync("base", "model", files, progress: null, cancel);
            var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
            var ingestion = await client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, cancel);
            Assert.Equal(JobState.Succeeded, (await client.Jobs.WatchAsync(ingestion.Id, cancellationToken: cancel).LastAsync(cancel)).State);

            // 1. The training process dies: the job says so, the server goes on.
            var endless = new CreateTraining { Base = "base", Dataset = "rows", Name = "never", MaxSteps = 100_000 };
            var killed = await client.Jobs.StartTrainingAsync(endless, cancel);
            await TrainsAsync(client, killed, cancel);
            var worker = TestServer.Workers(home, "training").Single();
            using (var process = Process.GetProcessById(worker)) process.Kill();
            var ended = await client.Jobs.WatchAsync(killed.Id, cancellationToken: cancel).LastAsync(cancel);
            Assert.Equal(JobState.Failed, ended.State);
            var job = await client.Jobs.GetAsync(killed.Id, cancel);
            Assert.Equal("worker_died", job.Error!.Type);
            Assert.Contains("the training worker was ended by SIGKILL (signal 9)", job.Error.Message, StringComparison.Ordinal);

            // 2. A new process takes the next job; canceling that ends it at its next step.
            var canceled = await client.Jobs.StartTrainingAsync(endless, cancel);
            await TrainsAsync(client, canceled, cancel);
            await client.Jobs.CancelAsync(canceled.Id, cancel);
            ended = await client.Jobs.WatchAsync(canceled.Id, cancellationToken: cancel).LastAsync(cancel);
            Assert.Equal(JobState.Canceled, ended.State);

            // 3. Nothing half-made is listed, no scratch is left.
            Assert.Empty(await client.Artifacts.ListAsync("adapter", cancel));
            await Eventually.HoldsAsync(() => !Directory.EnumerateFileSystemEntries(Path.Combine(home, "tmp", "worker-training-1")).Any(), cancel);
        }
        Directory.Delete(home, recursive: true);
    }

    private static async Task TrainsAsync(ModelOpsClient client, Job job, CancellationToken cancel)
    {
        await foreach (var next in client.Jobs.WatchAsync(job.Id, cancellationToken: cancel))
        {
            Assert.False(next.State.IsFinal, next.Message);
            if (next.Progress is { Stage: "train", Step: > 0 }) return;
        }
    }
}
