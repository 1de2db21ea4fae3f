using ModelOps.Registry;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Registry;

public abstract class RetentionTests(TestDatabase database)
{
    private static readonly ApiPrincipal bob = new("key_1", "bob", Roles.Engineer);
    private static readonly RetentionOptions thirtyDays = new() { Days = 30 };

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RunAsync_ArchivedLongAgo_RemovesFilesKeepsManifestAndSaysSo()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var artifact = await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        await ArchiveAsync(registry, "tiny");
        Age(registry, TimeSpan.FromDays(29));
        Assert.Empty((await Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop)).Removed);
        Assert.Empty((await Retention(registry).RunAsync(new RetentionOptions(), "bob", cancellationToken: Stop)).Removed);

        Age(registry, TimeSpan.FromDays(1));
        var dry = await Retention(registry).RunAsync(thirtyDays, "bob", dryRun: true, Stop);
        Assert.Equal(2, dry.SetAside.Blobs);
        Assert.True((await registry.Artifacts.VerifyAsync("tiny", Stop))!.Verified);
        var wet = await Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop);
        Assert.Equal(["tiny@1"], wet.Removed.Select(removed => removed.Artifact));
        Assert.Equal(dry.SetAside, wet.SetAside);
        Assert.False(File.Exists(registry.BlobPath(artifact.Manifest, "config.json")));

        var verification = (await registry.Artifacts.VerifyAsync("tiny", Stop))!;
        var failed = Assert.Single(verification.Checks, check => !check.Passed);
        Assert.Equal((VerificationChecks.Retention, "files removed by retention on 2026-03-31; the manifest stays."), (failed.Check, failed.Detail));
        Assert.Contains(verification.Checks, check => check is { Check: VerificationChecks.Signature, Passed: true });
        var use = Assert.IsType<ArtifactLoad.Refused>(await registry.Artifacts.UseAsync("tiny", Stop));
        Assert.Contains("removed by retention on 2026-03-31", use.Failure.Detail, StringComparison.Ordinal);
        Assert.NotNull(await registry.Artifacts.GetAsync("tiny", Stop));
        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        Assert.Equal(
            ["artifact.archived", "artifact.files_removed", "blob.set_aside", "blob.set_aside"],
            context.Audit.OrderBy(row => row.Sequence).Select(row => row.Action));
        Assert.IsType<AuditVerification.Intact>(await new AuditLog(registry.Contexts, registry.Time).VerifyAsync(cancellationToken: Stop));
    }

    [Fact]
    public async Task RunAsync_NeededByAdapterDeploymentOrJob_KeepsAndNamesTheReason()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterChainAsync();
        await registry.RegisterAsync(await registry.DraftAsync("served", ArtifactKinds.Gguf));
        await registry.RegisterAsync(await registry.DraftAsync("voice", ArtifactKinds.Gguf));
        await registry.RegisterAsync(await registry.DraftAsync("queued"));
        using (var context = await registry.Contexts.CreateDbContextAsync(Stop))
        {
            context.Deployments.Add(new DeploymentRow
            {
                Name = "chat",
                Artifact = "served@1",
                ManifestDigest = new string('0', 64),
                CreatedAt = registry.Time.GetUtcNow(),
                Adapters = [new() { Deployment = "chat", Name = "formal", Artifact = "voice@1", ManifestDigest = new string('0', 64), CreatedAt = registry.Time.GetUtcNow() }],
            });
            context.Jobs.Add(Job(registry, """{"base":"queued@1","name":"next"}"""));
            await context.SaveChangesAsync(Stop);
        }
        foreach (var name in new[] { "base", "gguf", "served", "voice", "queued" })
            await ArchiveAsync(registry, name);
        Age(registry, TimeSpan.FromDays(31));

        var report = await Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop);
        Assert.Equal(["gguf@1"], report.Removed.Select(removed => removed.Artifact)); // the adapter stands without what was made of it
        Assert.Equal(
            ["base@1: adapter adapter@1", "served@1: deployment chat", "voice@1: adapter formal of deployment chat", "queued@1: job job-1"],
            report.Kept.Select(kept => $"{kept.Artifact}: {kept.Reason}"));
        Assert.True((await registry.Artifacts.VerifyAsync("base", Stop))!.Verified);

        await ArchiveAsync(registry, "adapter");
        Age(registry, TimeSpan.FromDays(31));
        report = await Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop);
        Assert.Equal(["base@1", "adapter@1"], report.Removed.Select(removed => removed.Artifact));
    }

    [Fact]
    public async Task RunAsync_BlobSharedWithALiveArtifact_StaysForIt()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        var live = await registry.RegisterAsync((await registry.DraftAsync("tiny")) with { Name = "copy" });
        await ArchiveAsync(registry, "tiny");
        Age(registry, TimeSpan.FromDays(31));
        var report = await Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop);
        Assert.Equal(["tiny@1"], report.Removed.Select(removed => removed.Artifact));
        Assert.Equal(0, report.SetAside.Blobs);
        Assert.True((await registry.Artifacts.VerifyAsync(live.Manifest.Reference, Stop))!.Verified);
    }

    [Fact]
    public async Task RunAsync_Orphan_IsSetAsideThenFreedOnceNoJobCanHaveFoundIt()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var orphan = await registry.StoreAsync("a", "orphan");
        var wanted = await registry.StoreAsync("b", "wanted");
        using (var context = await registry.Contexts.CreateDbContextAsync(Stop))
        {
            context.Jobs.Add(Job(registry, $$$"""{"source":{"sha256":"{{{wanted.Sha256}}}"}}"""));
            await context.SaveChangesAsync(Stop);
        }
        var retention = Retention(registry);
        Assert.Equal(0, (await retention.RunAsync(thirtyDays, "bob", cancellationToken: Stop)).SetAside.Blobs); // a day has not passed
        Age(registry, TimeSpan.FromHours(25));
        Assert.Equal(new BlobCount(1, 6), (await retention.RunAsync(thirtyDays, "bob", cancellationToken: Stop)).SetAside);
        Assert.False(await new BlobStore(registry.Store).ExistsAsync(orphan.Sha256, Stop));
        Assert.True(await new BlobStore(registry.Store).ExistsAsync(wanted.Sha256, Stop));

        Age(registry, TimeSpan.FromHours(25));
        Assert.Equal(0, (await retention.RunAsync(thirtyDays, "bob", cancellationToken: Stop)).Freed.Blobs); // the job is older than the blob is aside
        using (var context = await registry.Contexts.CreateDbContextAsync(Stop))
        {
            context.Jobs.Single().FinishedAt = registry.Time.GetUtcNow();
            await context.SaveChangesAsync(Stop);
        }
        Assert.Equal(new BlobCount(1, 6), (await retention.RunAsync(thirtyDays, "bob", cancellationToken: Stop)).Freed);
    }

    [Fact]
    public async Task RegisterAsync_WorkerFoundABlobThatWasThenSetAside_TakesItBack()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.StoreAsync("a", "orphan");
        Age(registry, TimeSpan.FromHours(25));
        var found = await registry.StoreAsync("a", "orphan"); // without the database, as a worker does: it is there already
        Assert.Equal(1, (await Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop)).SetAside.Blobs);
        var artifact = await registry.RegisterAsync((await registry.DraftAsync("tiny")) with { Files = [found] });
        Assert.True((await registry.Artifacts.VerifyAsync(artifact.Manifest.Reference, Stop))!.Verified);
    }

    [Fact]
    public async Task RunAsync_BesideRegistrationsOfTheSameOldBlobs_NeverTakesWhatIsRegistered()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        for (var round = 0; round < 8; round++)
        {
            var files = new List<ManifestFile>();
            for (var i = 0; i < 6; i++)
                files.Add(await registry.StoreAsync($"file-{i}", $"content {round}-{i}"));
            Age(registry, TimeSpan.FromHours(25));
            var register = files.Select(file => Task.Run(
                () => registry.Artifacts.RegisterAsync(new ArtifactDraft { Name = "tiny", Kind = "model", Files = [file] }, "ada", Stop), Stop)).ToList();
            var sweeps = Enumerable.Range(0, 2).Select(_ => Task.Run(
                () => Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop), Stop)).ToList();
            await Task.WhenAll([.. register, .. sweeps]).WaitAsync(TimeSpan.FromSeconds(60), Stop);
            foreach (var registration in register)
            {
                var registered = Assert.IsType<Registration.Registered>(await registration);
                var report = (await registry.Artifacts.VerifyAsync(registered.Manifest.Reference, Stop))!;
                Assert.True(report.Verified, string.Join('\n', report.Checks.Where(check => !check.Passed)));
            }
        }
    }

    [Fact]
    public async Task RunAsync_KilledBetweenCopyAndDelete_LosesNothingAndTheNextRunGoesOn()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var orphan = await registry.StoreAsync("a", "orphan");
        Age(registry, TimeSpan.FromHours(25));
        var killed = new ArtifactRetention(
            registry.Contexts, new FailingDeletes(registry.Store), new AuditLog(registry.Contexts, registry.Time), registry.Time);
        await Assert.ThrowsAsync<IOException>(() => killed.RunAsync(thirtyDays, "bob", cancellationToken: Stop));
        Assert.True(await new BlobStore(registry.Store).ExistsAsync(orphan.Sha256, Stop));
        Assert.Equal(1, (await Retention(registry).RunAsync(thirtyDays, "bob", cancellationToken: Stop)).SetAside.Blobs);
    }

    private static ArtifactRetention Retention(TestRegistry registry) =>
        new(registry.Contexts, registry.Store, new AuditLog(registry.Contexts, registry.Time), registry.Time);

    private static async Task ArchiveAsync(TestRegistry registry, string reference)
    {
        var lifecycle = new ArtifactLifecycle(registry.Contexts, registry.Artifacts, new AuditLog(registry.Contexts, registry.Time), registry.Time);
        Assert.IsType<Promotion.Moved>(await lifecycle.ArchiveAsync(reference, bob, Stop));
    }

    /// <summary>Time passes: for the clock, and for what is stored, whose times are the file system's.</summary>
    private static void Age(TestRegistry registry, TimeSpan by)
    {
        foreach (var file in Directory.EnumerateFiles(registry.File("objects/artifacts"), "*", SearchOption.AllDirectories))
        {
            var stored = File.GetLastWriteTimeUtc(file);
            var now = registry.Time.GetUtcNow().UtcDateTime;
            File.SetLastWriteTimeUtc(file, stored > now ? now : stored); // what was stored since the last step was stored now
        }
        registry.Time.Advance(by);
    }

    private static JobRow Job(TestRegistry registry, string input) =>
        new() { Id = "job-1", Kind = "sft", State = "queued", CreatedBy = "admin", Engine = "embedded", Input = input, CreatedAt = registry.Time.GetUtcNow() };

    private sealed class FailingDeletes(IObjectStore inner) : IObjectStore
    {
        public Task<bool> PutAsync(string key, Stream content, PutMode mode, CancellationToken cancellationToken = default) =>
            inner.PutAsync(key, content, mode, cancellationToken);

        public Task<Stream?> OpenReadAsync(string key, long offset = 0, long? length = null, CancellationToken cancellationToken = default) =>
            inner.OpenReadAsync(key, offset, length, cancellationToken);

        public Task<ObjectInfo?> HeadAsync(string key, CancellationToken cancellationToken = default) => inner.HeadAsync(key, cancellationToken);

        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null, CancellationToken cancellationToken = default) =>
            inner.ListAsync(prefix, startAfter, cancellationToken);

        public Task<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) => throw new IOException("The process ends here.");

        public Task CopyAsync(string from, string to, CancellationToken cancellationToken = default) => inner.CopyAsync(from, to, cancellationToken);

        public string? LocalPath(string key) => inner.LocalPath(key);

        public Task<Uri?> PresignAsync(string key, TimeSpan validity, CancellationToken cancellationToken = default) =>
            inner.PresignAsync(key, validity, cancellationToken);
    }
}

public sealed class RetentionOnSqliteTests() : RetentionTests(TestDatabase.Sqlite);

public sealed class RetentionOnPostgreSqlTests() : RetentionTests(TestDatabase.PostgreSql);
