using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.RateLimits;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Jobs;

/// <summary>A job that runs on one server, watched on another: two real processes on one PostgreSQL, one bucket and one Redis.</summary>
public sealed class JobFanOutTests : IAsyncLifetime
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly string home = TestServer.NewHome();
    private readonly string copy = TestServer.NewHome();
    private RedisServer redis = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => redis = await RedisServer.StartAsync(Cancel);

    public async ValueTask DisposeAsync()
    {
        await redis.DisposeAsync();
        Directory.Delete(home, recursive: true);
        Directory.Delete(copy, recursive: true);
    }

    [Fact]
    public async Task Watch_OnTheOtherServer_SeesEveryEventWithAndWithoutRedis()
    {
        var backends = await Backends.NewClusterAsync();
        string[] settings = [$"redis:connection={redis.ConnectionString}"];
        await using (await TestServer.StartAsync(home, backends, Cancel, settings))
        {
            // Makes the key and the certificates that the second server has too.
        }
        CopyHome();
        await using var runner = await TestServer.StartAsync(home, backends, Cancel, settings);
        await using var watcher = await TestServer.StartAsync(copy, backends, Cancel, settings);

        // 1. By both protocols the other server tells what the database has, as it happens.
        await SamplesAsync(runner.Client);
        var training = await runner.Client.Jobs.StartTrainingAsync(new() { Base = "base", Dataset = "rows", Name = "never", MaxSteps = 100_000 }, Cancel);
        var streamed = watcher.Client.Jobs.WatchAsync(training.Id, cancellationToken: Cancel).ToListAsync(Cancel).AsTask();
        using var socket = await ConnectAsync(watcher, training.Id, after: 1);
        Assert.Equal(2, (await ReceiveAsync(socket))!.Sequence);
        Assert.DoesNotContain("Redis does not answer", watcher.Log, StringComparison.Ordinal);

        // 2. Redis goes away: the watchers look into the database, and say so once.
        await redis.KillAsync();
        await Eventually.HoldsAsync(() => watcher.Log.Contains("job events: Redis does not answer", StringComparison.Ordinal), Cancel);
        var before = (await ReceiveAsync(socket))!.Sequence;
        Assert.Equal(before + 1, (await ReceiveAsync(socket))!.Sequence);

        // 3. It comes back, and the end of the job, which another server is told of, reaches everybody.
        await redis.RestartAsync(Cancel);
        await Eventually.HoldsAsync(() => watcher.Log.Contains("job events: Redis answers again", StringComparison.Ordinal), Cancel);
        await runner.Client.Jobs.CancelAsync(training.Id, Cancel);
        var events = await streamed.WaitAsync(patience, Cancel);
        Assert.Equal(JobState.Canceled, events[^1].State);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(i => (long)i), events.Select(one => one.Sequence));
        var last = before;
        while (await ReceiveAsync(socket) is { } next) last = next.Sequence;
        Assert.Equal(events[^1].Sequence, last);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);
    }

    private static async Task SamplesAsync(ModelOpsClient client)
    {
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        var ingestion = await client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, Cancel);
        Assert.Equal(JobState.Succeeded, (await client.Jobs.WatchAsync(ingestion.Id, cancellationToken: Cancel).LastAsync(Cancel)).State);
    }

    private static async Task<ClientWebSocket> ConnectAsync(TestServer server, string job, long after)
    {
        var socket = new ClientWebSocket();
        var authority = X509CertificateLoader.LoadCertificateFromFile(server.CaCertificate);
        socket.Options.RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
        {
            chain!.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            chain.ChainPolicy.CustomTrustStore.Add(authority);
            return chain.Build((X509Certificate2)certificate!);
        };
        socket.Options.SetRequestHeader("Authorization", $"Bearer {server.ApiKey}");
        var address = new UriBuilder(server.Client.Server) { Scheme = "wss", Path = $"/api/v1/jobs/{job}/events/ws", Query = $"after={after}" };
        await socket.ConnectAsync(address.Uri, Cancel);
        return socket;
    }

    /// <returns>Null: the server closed.</returns>
    private static async Task<JobEvent?> ReceiveAsync(ClientWebSocket socket)
    {
        using var message = new MemoryStream();
        var buffer = new byte[4096];
        while (true)
        {
            var part = await socket.ReceiveAsync(buffer, Cancel).WaitAsync(patience, Cancel);
            if (part.MessageType == WebSocketMessageType.Close) return null;
            message.Write(buffer, 0, part.Count);
            if (part.EndOfMessage) return JsonSerializer.Deserialize(message.ToArray(), WireJson.Default.JobEvent);
        }
    }

    private void CopyHome()
    {
        foreach (var file in Directory.EnumerateFiles(home, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(copy, Path.GetRelativePath(home, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }
    }
}
