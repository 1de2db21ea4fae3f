using Amazon.S3;
using ModelOps.Data.Tests.Storage;
using ModelOps.Registry;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Registry;

/// <summary>Retention by the times that a bucket gives its objects: these are now, and the clock of the tests runs ahead of them.</summary>
public sealed class RetentionOnS3Tests(MotoServer moto) : IClassFixture<MotoServer>, IAsyncLifetime
{
    private const string Bucket = "modelops";
    private readonly AmazonS3Client client = MotoClient.Create(moto.Url);
    private readonly ManualTime time = new(DateTimeOffset.UtcNow);
    private TestRegistry database = null!;
    private S3ObjectStore store = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await moto.ResetAsync(Stop);
        await client.PutBucketAsync(Bucket, Stop);
        store = new S3ObjectStore(client, Bucket);
        database = await TestRegistry.CreateAsync(TestDatabase.PostgreSql);
    }

    public ValueTask DisposeAsync()
    {
        database.Dispose();
        client.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task RunAsync_OrphanBesideARegisteredBlob_SetsTheOrphanAsideThenFreesIt()
    {
        var orphan = await StoreAsync("a", "orphan");
        await RegisterAsync("tiny", await StoreAsync("b", "wanted"));
        Assert.Equal(0, (await RunAsync()).SetAside.Blobs); // a day has not passed
        time.Advance(TimeSpan.FromHours(25));
        Assert.Equal(new BlobCount(1, 6), (await RunAsync()).SetAside);
        Assert.False(await new BlobStore(store).ExistsAsync(orphan.Sha256, Stop));
        time.Advance(TimeSpan.FromHours(25));
        Assert.Equal(new BlobCount(1, 6), (await RunAsync()).Freed);
        Assert.True((await Artifacts.VerifyAsync("tiny", Stop))!.Verified);
        Assert.All(await KeysAsync(), key => Assert.DoesNotContain(orphan.Sha256, key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task RegisterAsync_OfABlobThatWasSetAside_TakesItBack()
    {
        var blob = await StoreAsync("a", "orphan");
        time.Advance(TimeSpan.FromHours(25));
        Assert.Equal(1, (await RunAsync()).SetAside.Blobs);
        await RegisterAsync("tiny", blob);
        Assert.True((await Artifacts.VerifyAsync("tiny", Stop))!.Verified);
    }

    [Fact]
    public async Task RunAsync_ArchivedLongAgo_RemovesFilesKeepsManifest()
    {
        await RegisterAsync("tiny", await StoreAsync("a", "content"));
        var lifecycle = new ArtifactLifecycle(database.Contexts, Artifacts, new AuditLog(database.Contexts, time), time);
        Assert.IsType<Promotion.Moved>(await lifecycle.ArchiveAsync("tiny", new ApiPrincipal("key_1", "bob", Roles.Engineer), Stop));
        time.Advance(TimeSpan.FromDays(31));
        Assert.Equal(["tiny@1"], (await RunAsync()).Removed.Select(removed => removed.Artifact));
        var failed = Assert.Single((await Artifacts.VerifyAsync("tiny", Stop))!.Checks, check => !check.Passed);
        Assert.Equal(VerificationChecks.Retention, failed.Check);
    }

    private ArtifactRegistry Artifacts => new(database.Contexts, store, database.Key, TrustedKeys.Load(database.Keys), time);

    private Task<RetentionReport> RunAsync() =>
        new ArtifactRetention(database.Contexts, store, new AuditLog(database.Contexts, time), time)
            .RunAsync(new RetentionOptions { Days = 30 }, "bob", cancellationToken: Stop);

    private async Task<ManifestFile> StoreAsync(string path, string text)
    {
        var file = database.File(path);
        await File.WriteAllTextAsync(file, text, Stop);
        var blob = await new BlobStore(store).PutFileAsync(file, Stop);
        return new ManifestFile(path, blob.Size, blob.Sha256);
    }

    private async Task RegisterAsync(string name, ManifestFile file) => Assert.IsType<Registration.Registered>(
        await Artifacts.RegisterAsync(new ArtifactDraft { Name = name, Kind = ArtifactKinds.Model, Files = [file] }, "ada", Stop));

    private async Task<IReadOnlyList<string>> KeysAsync() => await store.ListAsync("", cancellationToken: Stop).Select(info => info.Key).ToListAsync(Stop);
}
