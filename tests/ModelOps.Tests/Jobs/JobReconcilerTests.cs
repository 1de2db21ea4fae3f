using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Client;
using ModelOps.Temporal;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using Temporalio.Client;

namespace ModelOps.Tests.Jobs;

/// <summary>Jobs whose workflows somebody ends in the cluster, past the server.</summary>
public sealed class JobReconcilerTests : IDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly string home = TestServer.NewHome();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(home, recursive: true);

    [Fact]
    public async Task Workflow_TerminatedBehindTheServersBack_ClosesItsJobAndSaysSo()
    {
        await using var cluster = await TemporalServer.StartAsync(new TemporalServerOptions(), NullLoggerFactory.Instance, Cancel);
        var workflows = await TemporalClient.ConnectAsync(new(cluster.Address));
        string[] settings = [$"workflows:address={cluster.Address}", "workers:data:max=0"];

        // 1. While the server is away: it closes the job when it is back.
        string first;
        await using (var server = await TestServer.StartAsync(home, Cancel, settings)) first = await RunningJobAsync(server.Client);
        await workflows.GetWorkflowHandle(first).TerminateAsync();
        await using var again = await TestServer.StartAsync(home, Cancel, settings);
        await ClosedAsync(again.Client, first);

        // 2. While it runs: it notices when it has something to tell the workflow.
        var second = await RunningJobAsync(again.Client);
        await workflows.GetWorkflowHandle(second).TerminateAsync();
        await again.Client.Jobs.PauseAsync(second, Cancel);
        await ClosedAsync(again.Client, second);
    }

    /// <summary>An ingestion that waits for a worker, which there is none of.</summary>
    private static async Task<string> RunningJobAsync(ModelOpsClient client)
    {
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        var job = await client.Datasets.CreateVersionAsync("rows", rows, cancellationToken: Cancel);
        await client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).FirstAsync(next => next.State == JobState.Running, Cancel).AsTask().WaitAsync(patience, Cancel);
        return job.Id;
    }

    private static async Task ClosedAsync(ModelOpsClient client, string id)
    {
        var last = await client.Jobs.WatchAsync(id, cancellationToken: Cancel).LastAsync(Cancel).AsTask().WaitAsync(patience, Cancel);
        Assert.Equal(JobState.Failed, last.State);
        var error = (await client.Jobs.GetAsync(id, Cancel)).Error!;
        Assert.Equal(("internal", "its workflow ended without a word (terminated): somebody ended it outside of ModelOps"), (error.Type, error.Message));
    }
}
