using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Training;

/// <summary>A real server whose store has the bundled model as <c>base</c> and its questions and answers as <c>rows</c>.</summary>
public sealed class TrainingServer : IAsyncLifetime
{
    private TestServer? server;

    public string Home { get; } = TestServer.NewHome();

    public ModelOpsClient Client => server!.Client;

    internal TestServer Server => server!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        server = await TestServer.StartAsync(Home, Cancel);
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await Client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        await SucceedAsync(await Client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, Cancel));
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null) await server.DisposeAsync();
        Directory.Delete(Home, recursive: true);
    }

    /// <summary>Pulls the plug, and starts another server on the same home.</summary>
    /// <param name="settings">Each <c>section:key=value</c>.</param>
    public async Task RestartAsync(params string[] settings)
    {
        await server!.KillAsync();
        await server.DisposeAsync();
        server = await TestServer.StartAsync(Home, Cancel, settings);
    }

    public async Task<Job> SucceedAsync(Job job)
    {
        var ended = await EndAsync(job);
        Assert.True(ended.State == JobState.Succeeded, $"{job.Kind}: {ended.State} {ended.Error}");
        return ended;
    }

    public async Task<Job> EndAsync(Job job)
    {
        await Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel);
        return await Client.Jobs.GetAsync(job.Id, Cancel);
    }

    /// <returns>The number of the first event behind <paramref name="after"/> that is as wanted.</returns>
    public async Task<long> UntilAsync(Job job, long after, Predicate<JobEvent> wanted)
    {
        var last = default(JobEvent);
        await foreach (var next in Client.Jobs.WatchAsync(job.Id, after, Cancel))
        {
            if (wanted(next)) return next.Sequence;
            last = next;
        }
        Assert.Fail($"the job ended before: {last?.State} {last?.Message}");
        return 0;
    }
}
