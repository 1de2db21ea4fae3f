using ModelOps.Client;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Delta;

namespace ModelOps.Tests.EndToEnd;

/// <summary>An ingestion whose worker is killed in the middle, and then its server: it ends with the same rows in the same splits as an undisturbed one.</summary>
[EmbeddedOnly("InterruptedJobTests interrupt a job on the cluster's backends, CrashTests kill the server there")]
public sealed class KilledIngestionTests(ITestOutputHelper output)
{
    private const int Rows = 60_000;
    private static readonly string[] splits = ["train", "validation", "test"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Ingestion_WorkerThenServerKilled_HasTheContentOfAnUndisturbedOne()
    {
        var home = TestServer.NewHome();
        var file = Path.Combine(home, "rows.jsonl");
        await File.WriteAllLinesAsync(
            file, Enumerable.Range(0, Rows).Select(i => $$"""{"prompt":"What is {{i}} and {{i * 7919L % 1_000_003}}?","completion":"It is {{i + (i * 7919L % 1_000_003)}}."}"""), Cancel);
        var server = await TestServer.StartAsync(home, Cancel);
        try
        {
            var calm = await server.Client.Datasets.CreateVersionAsync("calm", file, new ModelOps.Client.IngestionOptions(), progress: null, Cancel);
            Assert.Equal(JobState.Succeeded, (await server.Client.Jobs.WatchAsync(calm.Id, cancellationToken: Cancel).LastAsync(Cancel)).State);

            // 1. The worker dies while it reads.
            var job = await server.Client.Datasets.CreateVersionAsync("stormy", file, new ModelOps.Client.IngestionOptions(), progress: null, Cancel);
            var seen = await ReadsAsync(server.Client, job, after: 0);
            using (var worker = System.Diagnostics.Process.GetProcessById(TestServer.Workers(home, "data").Single())) worker.Kill();
            var again = await server.Client.Jobs.WatchAsync(job.Id, seen, Cancel)
                .FirstAsync(next => next.Message?.Contains("attempt 2", StringComparison.Ordinal) == true, Cancel);

            // 2. The server dies while the next one reads.
            await ReadsAsync(server.Client, job, again.Sequence);
            await server.KillAsync();
            await server.DisposeAsync();
            server = await TestServer.StartAsync(home, Cancel);
            var ended = await server.Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel);
            Assert.True(ended.State == JobState.Succeeded, ended.Message);

            Assert.Equal(await ContentAsync(home, "calm"), await ContentAsync(home, "stormy"));
            Assert.Single((await server.Client.Datasets.GetAsync("stormy", cancellationToken: Cancel)).Versions);
            output.WriteLine($"attempt 2 said: {again.Message}");
        }
        finally
        {
            await server.DisposeAsync();
        }
        Directory.Delete(home, recursive: true);
    }

    private static async Task<long> ReadsAsync(ModelOpsClient client, Job job, long after) =>
        (await client.Jobs.WatchAsync(job.Id, after, Cancel).FirstAsync(next => next.Progress is { Stage: "reading", Step: > 0 }, Cancel)).Sequence;

    /// <summary>Every row by its split and the digest of its content.</summary>
    private static async Task<List<string>> ContentAsync(string home, string dataset)
    {
        using var stores = await Backends.OpenStoresAsync(home);
        var rows = new List<string>();
        foreach (var split in splits)
        {
            var table = await DeltaTable.OpenAsync(stores.Tables, $"datasets/{dataset}/{split}", cancellationToken: Cancel);
            var version = (await table!.SnapshotAsync(cancellationToken: Cancel)).Version;
            await foreach (var row in DatasetReader.ReadAsync(stores.Tables, dataset, split, version, Cancel)) rows.Add($"{split} {row.Id}");
        }
        rows.Sort(StringComparer.Ordinal);
        return rows;
    }
}
