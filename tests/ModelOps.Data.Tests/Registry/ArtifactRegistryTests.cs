using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class ArtifactRegistryTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RegisterAsync_ValidDraft_IsListedSignedAndVerified()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var draft = await registry.DraftAsync("tiny") with { Recipe = JsonElement.Parse("""{"rank":16,"learning_rate":2e-4}""") };
        var registered = await registry.RegisterAsync(draft);

        var used = Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("tiny", Stop)).Artifact;
        Assert.Equal(registered.Digest, used.Digest);
        Assert.Equal(registry.Key.KeyId, used.KeyId);
        Assert.Equal(registered.Manifest.ToCanonicalBytes(), used.Manifest.ToCanonicalBytes());
        Assert.Equal("1", used.Manifest.Version);
        Assert.Equal("ada", used.Manifest.CreatedBy);
        Assert.Equal(registry.Time.GetUtcNow(), used.Manifest.CreatedAt);
        var entry = Assert.Single(await registry.Artifacts.ListAsync(cancellationToken: Stop));
        Assert.Equal((registered.Digest, Stages.Dev, draft.Files.Sum(file => file.Size)), (entry.Digest, entry.Stage, entry.Size));
    }

    [Fact]
    public async Task RegisterAsync_SameNameAgain_CountsVersionsAndTheNameMeansTheLatest()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var draft = await registry.DraftAsync("tiny");
        Assert.Equal("1", (await registry.RegisterAsync(draft)).Manifest.Version);
        Assert.Equal("9", (await registry.RegisterAsync(draft with { Version = "9" })).Manifest.Version);
        Assert.Equal("10", (await registry.RegisterAsync(draft)).Manifest.Version);
        Assert.Equal("10", (await registry.Artifacts.GetAsync("tiny", Stop))!.Manifest.Version);
        Assert.Equal("9", (await registry.Artifacts.GetAsync("tiny@9", Stop))!.Manifest.Version);
        Assert.Null(await registry.Artifacts.GetAsync("tiny@2", Stop));
        Assert.Null(await registry.Artifacts.GetAsync("not/a/name", Stop));
    }

    [Fact]
    public async Task RegisterAsync_VersionThatExists_IsAConflictAndChangesNothing()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var draft = await registry.DraftAsync("tiny") with { Version = "1.0" };
        var first = await registry.RegisterAsync(draft);
        foreach (var again in new[] { draft, draft with { Kind = ArtifactKinds.Reward } })
            Assert.Equal(new Registration.Conflict("tiny@1.0"), await registry.Artifacts.RegisterAsync(again, "ada", Stop));
        Assert.Equal(first.Digest, (await registry.Artifacts.GetAsync("tiny@1.0", Stop))!.Digest);
        Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("tiny@1.0", Stop));
    }

    [Fact]
    public async Task RegisterAsync_SixteenAtOnce_GetSixteenVersions()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var draft = await registry.DraftAsync("tiny");
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => registry.RegisterAsync(draft), Stop)))
            .WaitAsync(TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(Enumerable.Range(1, 16), outcomes.Select(outcome => int.Parse(outcome.Manifest.Version)).Order());
        foreach (var outcome in outcomes)
            Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync(outcome.Manifest.Reference, Stop));
    }

    [Fact]
    public async Task RegisterAsync_SixteenAtOnceWithOneVersion_OneWins()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var draft = await registry.DraftAsync("tiny") with { Version = "1.0" };
        var outcomes = await Task.WhenAll(
            Enumerable.Range(0, 16).Select(_ => Task.Run(() => registry.Artifacts.RegisterAsync(draft, "ada", Stop), Stop)))
            .WaitAsync(TimeSpan.FromSeconds(60), Stop);
        var winner = Assert.Single(outcomes.OfType<Registration.Registered>());
        Assert.Equal(15, outcomes.OfType<Registration.Conflict>().Count());
        Assert.Equal(
            winner.Digest, Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("tiny@1.0", Stop)).Artifact.Digest);
    }

    [Fact]
    public async Task RegisterAsync_ManyFaults_ReportsEveryOne()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var parent = await registry.RegisterAsync(await registry.DraftAsync("base"));
        var stored = await registry.StoreAsync("config.json", "{}");
        var draft = new ArtifactDraft
        {
            Name = "Bad Name",
            Kind = "poem",
            Files = [stored with { Size = 99 }, new ManifestFile("gone.bin", 3, new string('0', 64))],
            Parents = [new("base", "base@7", parent.Digest), new("dataset", "base@1", new string('f', 64))],
        };
        var errors = Assert.IsType<Registration.Invalid>(await registry.Artifacts.RegisterAsync(draft, "ada", Stop)).Errors;
        string[] beginnings =
        [
            "name 'Bad Name'", "kind 'poem'", "file 'config.json': size 99 is wrong", "file 'gone.bin': there is no blob",
            "parent 'base@7': there is no such artifact", "parent 'base@1': digest ffff",
        ];
        Assert.Equal(beginnings.Length, errors.Count);
        Assert.All(beginnings.Zip(errors), pair => Assert.StartsWith(pair.First, pair.Second, StringComparison.Ordinal));
        Assert.Single(await registry.Artifacts.ListAsync(cancellationToken: Stop));
    }

    [Fact]
    public async Task RegisterAsync_StoreFailsAtTheManifest_LeavesNothingAndCanBeRepeated()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var draft = await registry.DraftAsync("tiny") with { Version = "1" };
        var failing = registry.On(new FailingPuts(registry.Store));
        await Assert.ThrowsAsync<IOException>(() => failing.RegisterAsync(draft, "ada", Stop));
        Assert.Empty(await registry.Artifacts.ListAsync(cancellationToken: Stop));
        Assert.Equal("1", (await registry.RegisterAsync(draft)).Manifest.Version);
    }

    [Fact]
    public async Task RegisterAsync_CrashBetweenManifestAndRow_ListsNothingAndTheSameRegistrationTakesOver()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var draft = await registry.DraftAsync("tiny") with { Version = "1" };
        var crashing = new FailingSaves(registry.Contexts);
        await Assert.ThrowsAsync<IOException>(() => registry.On(registry.Store, crashing).RegisterAsync(draft, "ada", Stop));

        Assert.True(File.Exists(registry.Store.LocalPath(SignedManifest.KeyOf("tiny", "1"))));
        Assert.Empty(await registry.Artifacts.ListAsync(cancellationToken: Stop));
        Assert.IsType<ArtifactLoad.NotFound>(await registry.Artifacts.UseAsync("tiny@1", Stop));

        registry.Time.Advance(TimeSpan.FromHours(1));
        Assert.IsType<Registration.Conflict>(
            await registry.Artifacts.RegisterAsync(draft with { Kind = ArtifactKinds.Reward }, "ada", Stop));
        Assert.Equal("2", (await registry.RegisterAsync(draft with { Version = null })).Manifest.Version);
        await registry.RegisterAsync(draft);
        Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("tiny@1", Stop));
    }

    [Fact]
    public async Task ListAsync_OfAKind_ListsOnlyThat()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterChainAsync();
        Assert.Equal(
            ["base", "adapter", "gguf"],
            (await registry.Artifacts.ListAsync(cancellationToken: Stop)).Select(entry => entry.Manifest.Name));
        Assert.Equal("adapter", Assert.Single(await registry.Artifacts.ListAsync(ArtifactKinds.Adapter, Stop)).Manifest.Name);
    }

    private sealed class FailingSaves(IDbContextFactory<MetadataContext> inner) : IDbContextFactory<MetadataContext>
    {
        public MetadataContext CreateDbContext()
        {
            var context = inner.CreateDbContext();
            context.SavingChanges += (_, _) => throw new IOException("The process ends here.");
            return context;
        }
    }
}

public sealed class ArtifactRegistryOnSqliteTests() : ArtifactRegistryTests(TestDatabase.Sqlite);

public sealed class ArtifactRegistryOnPostgreSqlTests() : ArtifactRegistryTests(TestDatabase.PostgreSql);
