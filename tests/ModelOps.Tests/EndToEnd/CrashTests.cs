using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Tests.EndToEnd;

/// <summary>
/// Fifty clients upload artifacts of overlapping files while the server is killed eight times: what it acknowledged is whole, what it
/// did not acknowledge is whole or not there.
/// </summary>
[ClusterOnly("SurvivalTests kills the embedded server in every stage of the main job; KilledStoreTests each write of the file store")]
public sealed class CrashTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Uploaders = 50;
    private const int Seed = 20_261_124;
    private const int Kills = 8;

    private readonly string home = TestServer.NewHome();
    private readonly ConcurrentQueue<Artifact> acknowledged = new();
    private readonly CancellationTokenSource finish = new();
    private int failures;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        finish.Dispose();
        Directory.Delete(home, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Uploads_WhileTheServerIsKilled_AreWholeOrAbsent()
    {
        var random = new Random(Seed);
        var clock = Stopwatch.StartNew();
        var server = await StartAsync(port: 0);
        try
        {
            var uploads = Enumerable.Range(0, Uploaders).Select(number => UploadAsync(number, server.Client.Server, server.ApiKey)).ToArray();
            for (var kill = 0; kill < Kills; kill++)
            {
                await ProgressAsync(random.Next(Uploaders), uploads);
                await Task.Delay(random.Next(150), Cancel); // a random moment is what is wanted: nothing is awaited here
                await server.KillAsync();
                var unfinished = UnfinishedFiles();
                var port = server.Client.Server.Port;
                await server.DisposeAsync();
                server = await StartAsync(port);
                Assert.DoesNotContain(unfinished, File.Exists);
            }
            var killed = clock.Elapsed;
            await ProgressAsync(Uploaders, uploads);
            await finish.CancelAsync();
            await Task.WhenAll(uploads).WaitAsync(TimeSpan.FromMinutes(2), Cancel);

            await VerifyAllAsync(server.Client);
            output.WriteLine($"{acknowledged.Count} acknowledged, {failures} failed pushes; {killed.TotalSeconds:0.0} s of kills, {clock.Elapsed.TotalSeconds:0.0} s in all");
        }
        finally
        {
            await finish.CancelAsync();
            await server.DisposeAsync();
        }
    }

    private async Task VerifyAllAsync(ModelOpsClient client)
    {
        Assert.True(failures >= Kills, $"only {failures} pushes met a killed server");
        var listed = (await client.Artifacts.ListAsync(kind: null, Cancel)).ToDictionary(artifact => $"{artifact.Name}@{artifact.Version}");
        foreach (var artifact in acknowledged)
        {
            var found = Assert.Contains($"{artifact.Name}@{artifact.Version}", listed);
            Assert.Equal(artifact.Digest, found.Digest);
            Assert.Equal(artifact.Files, found.Files);
        }
        Assert.Equal(acknowledged.Count, acknowledged.Select(artifact => artifact.Digest).Distinct().Count());
        await Parallel.ForEachAsync(listed, Cancel, async (entry, cancel) =>
        {
            Assert.Equal(4, entry.Value.Files.Count);
            var report = await client.Artifacts.VerifyAsync(entry.Key, cancel);
            Assert.True(report.Verified, JsonSerializer.Serialize(report, WireJson.Default.Verification));
            Assert.Equal(4, report.Checks.Count(check => check is { Check: "file", Passed: true }));
        });
        var audit = await client.Audit.VerifyAsync(head: null, Cancel);
        Assert.True(audit.Intact, audit.Fault);
        Assert.Empty(UnfinishedFiles());
    }

    private Task<TestServer> StartAsync(int port) =>
        TestServer.StartAsync(home, Cancel, "rate_limits:enabled=false", $"listen:port={port}");

    /// <summary>Waits until as many more artifacts are acknowledged; an uploader that ended tells why.</summary>
    private async Task ProgressAsync(int more, Task[] uploads)
    {
        var wanted = acknowledged.Count + more;
        await Eventually.HoldsAsync(
            async () =>
            {
                if (uploads.FirstOrDefault(upload => upload.IsCompleted) is { } ended) await ended;
                return acknowledged.Count >= wanted;
            },
            Cancel);
    }

    /// <summary>Pushes one artifact after the other; after a failure it tries the same again or gives it up.</summary>
    private async Task UploadAsync(int number, Uri server, string apiKey)
    {
        var random = new Random(Seed + number);
        var options = new ClientOptions { Attempts = 4, Jitter = random.NextDouble };
        using var client = new ModelOpsClient(server, apiKey, Path.Combine(home, "certs", "ca.crt"), options);
        // Every second uploader shares its name, and so its version numbers, with others.
        var name = number % 2 == 0 ? $"own-{number}" : $"team-{number % 10}";
        var folder = Directory.CreateDirectory(Path.Combine(home, "uploads", $"{number}")).FullName;
        for (var round = 0; !finish.IsCancellationRequested; round++)
        {
            WriteFiles(folder, number, round);
            var files = await LocalFiles.HashFolderAsync(folder, Cancel);
            while (!await TryPushAsync(client, name, files) && random.Next(2) == 0 && !finish.IsCancellationRequested)
            {
            }
        }
    }

    private async Task<bool> TryPushAsync(ModelOpsClient client, string name, LocalFiles files)
    {
        try
        {
            acknowledged.Enqueue(await client.Artifacts.PushAsync(name, "model", files, progress: null, Cancel));
            return true;
        }
        catch (ServerUnreachableException)
        {
            Interlocked.Increment(ref failures);
            return false;
        }
    }

    /// <summary>One file that all have, two that ten uploaders send at the same time, one of its own.</summary>
    private static void WriteFiles(string folder, int number, int round)
    {
        Write("config.json", 1_000, seed: 0);
        Write("weights/1.bin", 150_000, seed: HashCode(number % 5, round, 1));
        Write("weights/2.bin", 40_000, seed: HashCode(number % 5, round, 2));
        Write("own.bin", 20_000, seed: HashCode(number, round, 3));

        void Write(string name, int size, int seed)
        {
            var bytes = new byte[size];
            new Random(seed).NextBytes(bytes);
            var path = Path.Combine(folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, bytes);
        }

        static int HashCode(int first, int second, int third) => (((first * 1_000) + second) * 4) + third;
    }

    /// <summary>S3 keeps unfinished uploads to itself.</summary>
    private List<string> UnfinishedFiles() => Backends.AreCluster
        ? []
        : [.. new[] { "objects", "tables" }.SelectMany(store => Directory.EnumerateFiles(Path.Combine(home, store, ".incoming"), "*", SearchOption.AllDirectories))];
}
