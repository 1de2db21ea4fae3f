using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Workers;

/// <summary>The workers of real server processes: two trainings at once, one of which aborts, and a server that stops or is killed meanwhile.</summary>
public sealed class WorkerServerTests : IDisposable
{
    private static readonly CreateTraining endless = new() { Base = "base", Dataset = "rows", Name = "never", MaxSteps = 100_000 };
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly string home = TestServer.NewHome();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(home, recursive: true);

    [Fact]
    public async Task Workers_OneOfTwoAborts_CostsItsJobAlone()
    {
        await using var server = await TestServer.StartAsync(home, Cancel, "workers:training:max=2", "workers:idle_stop=1s", "telemetry:logs=json");
        await PrepareAsync(server.Client);

        // 1. As many trainings at once as the role may have workers, each in a process of its own that goes behind what somebody waits for.
        var jobs = new[] { await server.Client.Jobs.StartTrainingAsync(endless, Cancel), await server.Client.Jobs.StartTrainingAsync(endless, Cancel) };
        foreach (var job in jobs) await TrainsAsync(server.Client, job);
        IReadOnlyList<Worker> workers = [];
        await Eventually.HoldsAsync(async () => (workers = await TrainingAsync(server.Client)) is [_, _] && workers.All(worker => worker is { Tasks: 1, Memory: > 10_000_000, CpuPercent: > 0 }), Cancel);
        Assert.Equal(TestServer.Workers(home, "training").Order(), workers.Select(worker => worker.ProcessId!.Value).Order());
        Assert.Equal(2, workers.Count);
        Assert.All(workers, worker => Assert.Equal(10, Niceness(worker.ProcessId!.Value)));

        // 2. The native code of one gives up: its job says so in plain words, the other job and the server go on.
        var broken = workers[0].ProcessId!.Value;
        await TestServer.AbortAsync(broken, Cancel);
        var told = await Task.WhenAny(jobs.Select(job => DiedAsync(server.Client, job))).WaitAsync(patience, Cancel);
        var (failed, message) = await told;
        Assert.Contains("the training worker was ended by SIGABRT (signal 6): its native code gave up", message, StringComparison.Ordinal);
        await Eventually.HoldsAsync(async () => (await TrainingAsync(server.Client)).Count(worker => worker.Tasks > 0) == 2, Cancel);
        Assert.All(await Task.WhenAll(jobs.Select(job => server.Client.Jobs.GetAsync(job.Id, Cancel))), job => Assert.Equal(JobState.Running, job.State));
        var other = jobs.Single(job => job.Id != failed.Id);
        await server.Client.Jobs.CancelAsync(failed.Id, Cancel);

        // 3. The lines of a worker are lines of the server, in the trace of their job.
        foreach (var job in jobs)
        {
            var worker = Line(server, line => Text(line, "trace_id") == job.TraceId && Text(line, "logger") == "ModelOps.Worker.Hosting.ActivityRunner");
            Assert.Equal("info", Text(worker, "level"));
            Assert.Equal(("training", "TrainAdapter"), (Text(worker.GetProperty("attributes"), "role"), Text(worker.GetProperty("attributes"), "Name")));
            Assert.NotEqual(0, worker.GetProperty("attributes").GetProperty("process_id").GetInt32());
        }

        // 4. What has nothing to do ends.
        await server.Client.Jobs.CancelAsync(other.Id, Cancel);
        await Eventually.HoldsAsync(async () => (await server.Client.Workers.ListAsync(Cancel)).Count == 0, Cancel);
        Assert.Empty(TestServer.Workers(home));
    }

    [Fact]
    public async Task Workers_OfAServerThatStopsOrIsKilled_DoNotOutliveIt()
    {
        await using (var server = await TestServer.StartAsync(home, Cancel))
        {
            await PrepareAsync(server.Client);
            await TrainsAsync(server.Client, await server.Client.Jobs.StartTrainingAsync(endless, Cancel));
            var took = await server.StopAsync();
            Assert.Empty(TestServer.Workers(home));
            Assert.True(took < TimeSpan.FromSeconds(30), $"the stop took {took}"); // the job would go on for ever
            Assert.Contains("training worker 1 started", server.Log, StringComparison.Ordinal);
            Assert.DoesNotContain("WorkflowService/", server.Log, StringComparison.Ordinal); // its polls and heartbeats
        }
        await using var again = await TestServer.StartAsync(home, Cancel); // takes the job up again
        await Eventually.HoldsAsync(async () => (await TrainingAsync(again.Client)).Any(worker => worker.Tasks > 0), Cancel);
        await again.KillAsync();
        await Eventually.HoldsAsync(() => TestServer.Workers(home).Count == 0, Cancel);
    }

    [Fact]
    public async Task Workers_WantedFromTheStart_AreStartedOnceTheServerListens()
    {
        await using var server = await TestServer.StartAsync(home, Cancel, "workers:data:min=1");
        await Eventually.HoldsAsync(
            async () => (await server.Client.Workers.ListAsync(Cancel)) is [{ Role: "data", State: WorkerState.Ready, Restarts: 0 }], Cancel);
        Assert.DoesNotContain("in a row", server.Log, StringComparison.Ordinal);
    }

    /// <returns>The job, and what it says of its worker's death.</returns>
    private static async Task<(Job Job, string Message)> DiedAsync(ModelOpsClient client, Job job)
    {
        var died = await client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).FirstAsync(next => next.Message?.Contains("was ended by", StringComparison.Ordinal) == true, Cancel);
        return (job, died.Message!);
    }

    private static async Task PrepareAsync(ModelOpsClient client)
    {
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        var ingestion = await client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, Cancel);
        Assert.Equal(JobState.Succeeded, (await client.Jobs.WatchAsync(ingestion.Id, cancellationToken: Cancel).LastAsync(Cancel)).State);
    }

    private static async Task TrainsAsync(ModelOpsClient client, Job job)
    {
        await foreach (var next in client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel))
        {
            Assert.False(next.State.IsFinal, next.Message);
            if (next.Progress is { Stage: "train", Step: > 0 }) return;
        }
    }

    private static async Task<IReadOnlyList<Worker>> TrainingAsync(ModelOpsClient client) =>
        // One that takes its task just as it is told to leave, idle for a second, works on as it stops.
        [.. (await client.Workers.ListAsync(Cancel)).Where(worker => worker is { Role: "training", State: WorkerState.Ready or WorkerState.Stopping })];

    // proc_pid_stat(5): the name may have spaces, behind its ')' nice is the 17th.
    private static int Niceness(int process)
    {
        var stat = File.ReadAllText($"/proc/{process}/stat");
        return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[16]);
    }

    private static JsonElement Line(TestServer server, Predicate<JsonElement> suits) => server.Log
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line)).First(line => suits(line));

    private static string? Text(JsonElement line, string name) => line.TryGetProperty(name, out var value) ? value.GetString() : null;
}
