using ModelOps.Client;
using ModelOps.Data.Tests.Storage;
using ModelOps.Storage;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>The main job with every object and table in a bucket, encrypted, and nothing of them in the home folder.</summary>
public sealed class ObjectStorageTests(MotoServer moto) : IClassFixture<MotoServer>, IAsyncLifetime
{
    private const string Bucket = "platform";
    private static readonly TimeSpan jobPatience = TimeSpan.FromMinutes(4);
    private readonly string home = TestServer.NewHome();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await moto.ResetAsync(Cancel);
        using var http = new HttpClient();
        using var made = await http.PutAsync(new Uri($"{moto.Url}/{Bucket}"), content: null, Cancel);
        made.EnsureSuccessStatusCode();
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(home, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    [EmbeddedOnly("it brings a bucket of its own; MainJobTests are what runs on the cluster's")]
    public async Task MainJob_OnEncryptedS3_WorksAndLeavesOnlyCiphertextInTheBucket()
    {
        var keyFile = Path.Combine(home, "master.key");
        await File.WriteAllTextAsync(keyFile, Convert.ToBase64String(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()), Cancel);
        File.SetUnixFileMode(keyFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var options = new ObjectStoreOptions
        {
            Kind = ObjectStoreKind.S3,
            Endpoint = moto.Url,
            Bucket = Bucket,
            Prefix = "team/",
            AccessKey = "key",
            SecretKey = "secret",
            Encryption = new() { MasterKeyFile = keyFile },
        };

        string digest;
        await using (var server = await TestServer.StartAsync(home, options.ToEnvironment(), Cancel))
        {
            var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
            await server.Client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
            var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
            await RunAsync(server.Client, await server.Client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, Cancel));
            await RunAsync(server.Client, await server.Client.Jobs.StartTrainingAsync(
                new CreateTraining { Base = "base", Dataset = "rows", Name = "tuned", MaxSteps = 3, Seed = 7 }, Cancel));
            Assert.True((await server.Client.Artifacts.VerifyAsync("tuned", Cancel)).Verified);
            digest = (await server.Client.Artifacts.GetAsync("tuned", Cancel)).Files[0].Sha256;
            await server.KillAsync();
        }
        await using (var again = await TestServer.StartAsync(home, options.ToEnvironment(), Cancel))
            Assert.True((await again.Client.Artifacts.VerifyAsync("tuned", Cancel)).Verified);

        using var bucket = ObjectStores.Open(options with { Encryption = null }, home);
        foreach (var (store, atLeast) in new[] { (bucket.Objects, 5), (bucket.Tables, 4) })
        {
            var stored = await store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel);
            Assert.True(stored.Count >= atLeast, $"{stored.Count} objects");
            foreach (var info in stored)
            {
                await using var content = await store.OpenReadAsync(info.Key, 0, 7, Cancel);
                var magic = new byte[7];
                await content!.ReadExactlyAsync(magic, Cancel);
                Assert.Equal("MOPSENC"u8, magic);
            }
        }
        foreach (var folder in new[] { "objects", "tables" })
            Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(home, folder), "*", SearchOption.AllDirectories));

        // A byte that changes in the bucket is found, and the file named.
        var blob = await bucket.Objects.ListAsync("", cancellationToken: Cancel).FirstAsync(info => info.Key.EndsWith(digest, StringComparison.Ordinal), Cancel);
        await StoredBytes.FlipAsync(bucket.Objects, blob.Key, Cancel);
        await using var last = await TestServer.StartAsync(home, options.ToEnvironment(), Cancel);
        var tampered = await last.Client.Artifacts.VerifyAsync("tuned", Cancel);
        var failed = Assert.Single(tampered.Checks, check => !check.Passed);
        Assert.Contains(blob.Key, failed.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_WithANewMasterKey_BringsEveryObjectUnderItWhileServing()
    {
        var (first, second) = (Convert.ToBase64String(new byte[32]), Convert.ToBase64String(Enumerable.Repeat((byte)1, 32).ToArray()));
        ObjectStoreOptions Keys(string current, params string[] previous) => new() { Encryption = new() { MasterKey = current, PreviousMasterKeys = previous } };
        await using (var server = await TestServer.StartAsync(home, Keys(first).ToEnvironment(), Cancel))
        {
            var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
            await server.Client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
        }
        await using (var server = await TestServer.StartAsync(home, Keys(second, first).ToEnvironment(), Cancel))
        {
            Assert.True((await server.Client.Artifacts.VerifyAsync("base", Cancel)).Verified);
            await Eventually.HoldsAsync(() => server.Log.Contains("the previous master keys are needed no more", StringComparison.Ordinal), Cancel);
        }
        await using (var server = await TestServer.StartAsync(home, Keys(second).ToEnvironment(), Cancel))
            Assert.True((await server.Client.Artifacts.VerifyAsync("base", Cancel)).Verified);
        await using (var server = await TestServer.StartAsync(home, Keys(first).ToEnvironment(), Cancel))
            Assert.False((await server.Client.Artifacts.VerifyAsync("base", Cancel)).Verified);
    }

    [Fact]
    public async Task Start_WrongOptions_NamesEachWithItsKey()
    {
        var environment = new Dictionary<string, string>
        {
            ["MODELOPS__OBJECTS__KIND"] = "s3",
            ["MODELOPS__OBJECTS__ENDPOINT"] = "nowhere",
            ["MODELOPS__OBJECTS__BUCKET"] = "", // not set, on every backend
            ["MODELOPS__OBJECTS__ACCESS_KEY"] = "key",
            ["MODELOPS__OBJECTS__SECRET_KEY"] = "",
            ["MODELOPS__OBJECTS__ENCRYPTION__MASTER_KEY"] = "c2hvcnQ=",
        };
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => TestServer.StartAsync(home, environment, Cancel));
        foreach (var fault in new[] { "endpoint is 'nowhere' ", "bucket: it is missing", "access_key and objects:secret_key: only one" })
            Assert.Contains($"objects:{fault}", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("c2hvcnQ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_WrongMasterKey_SaysSoAndNotTheKey()
    {
        var environment = new Dictionary<string, string> { ["MODELOPS__OBJECTS__ENCRYPTION__MASTER_KEY"] = "c2hvcnQ=" };
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => TestServer.StartAsync(home, environment, Cancel));
        Assert.Contains("objects: encryption:master_key: it is not the base64 of 32 bytes", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("c2hvcnQ", e.Message, StringComparison.Ordinal);
    }

    private static async Task RunAsync(ModelOpsClient client, Job job)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(jobPatience);
        var ended = await client.Jobs.WatchAsync(job.Id, cancellationToken: patience.Token).LastAsync(patience.Token);
        Assert.True(ended.State == JobState.Succeeded, $"{job.Kind}: {ended.State} {ended.Message}");
    }
}
