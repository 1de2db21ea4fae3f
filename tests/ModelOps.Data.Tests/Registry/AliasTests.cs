using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class AliasTests(TestDatabase database)
{
    private static readonly ApiPrincipal bob = new("key_1", "bob", Roles.Engineer);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SetAsync_MovedAndRemoved_ResolvesTheVersionAndKeepsHistory()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var aliases = Aliases(registry);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));

        Assert.Null(await registry.Artifacts.GetAsync("tiny:champion", Stop));
        Assert.Equal(new AliasChange.Moved(null, "1"), await aliases.SetAsync("tiny@1", "champion", bob, cancellationToken: Stop));
        Assert.Equal("1", (await registry.Artifacts.GetAsync("tiny:champion", Stop))!.Manifest.Version);
        Assert.Equal(new AliasChange.Moved("1", "2"), await aliases.SetAsync("tiny", "champion", bob, ifIs: "1", Stop));
        Assert.Equal("tiny@2", Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("tiny:champion", Stop)).Artifact.Manifest.Reference);
        Assert.Equal("tiny@2", await registry.Artifacts.PinAliasAsync("tiny:champion", Stop));
        Assert.Equal(new AliasChange.Moved("2", null), await aliases.RemoveAsync("tiny", "champion", bob, cancellationToken: Stop));
        Assert.Null(await registry.Artifacts.GetAsync("tiny:champion", Stop));

        Assert.Equal(["-1", "12", "2-"], (await aliases.HistoryAsync("tiny", Stop)).Select(move => $"{move.From ?? "-"}{move.To ?? "-"}"));
        Assert.Equal(3, Assert.IsType<AuditVerification.Intact>(await Audit(registry).VerifyAsync(cancellationToken: Stop)).Head.Sequence);
    }

    [Theory]
    [InlineData("", "1")]
    [InlineData("2", "1")]
    public async Task SetAsync_AliasIsNotWhatTheCallerExpects_ChangesNothing(string ifIs, string actual)
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var aliases = Aliases(registry);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        await aliases.SetAsync("tiny@1", "champion", bob, ifIs: "", Stop);
        Assert.Equal(new AliasChange.Changed(actual), await aliases.SetAsync("tiny@1", "champion", bob, ifIs, Stop));
        Assert.Equal(new AliasChange.Changed(actual), await aliases.RemoveAsync("tiny", "champion", bob, ifIs, Stop));
        Assert.Equal(new AliasChange.Changed(null), await aliases.SetAsync("tiny@1", "other", bob, ifIs: "1", Stop));
        Assert.Single(await aliases.HistoryAsync("tiny", Stop));
    }

    [Fact]
    public async Task SetAsync_ManyCompareAndSetsAtOnce_OneWins()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var aliases = Aliases(registry);
        for (var i = 0; i < 9; i++)
            await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        await aliases.SetAsync("tiny@1", "champion", bob, cancellationToken: Stop);
        var changes = await Task.WhenAll(Enumerable.Range(2, 8).Select(version =>
            Task.Run(() => aliases.SetAsync($"tiny@{version}", "champion", bob, ifIs: "1", Stop), Stop))).WaitAsync(TimeSpan.FromSeconds(60), Stop);
        var moved = Assert.Single(changes.OfType<AliasChange.Moved>());
        Assert.Equal(7, changes.OfType<AliasChange.Changed>().Count(change => change.Version == moved.To));
    }

    [Fact]
    public async Task ArchiveAsync_AliasedArtifact_IsRefusedByNameUntilTheAliasMoves()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var aliases = Aliases(registry);
        var lifecycle = new ArtifactLifecycle(registry.Contexts, registry.Artifacts, Audit(registry), registry.Time);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        await aliases.SetAsync("tiny@1", "champion", bob, cancellationToken: Stop);

        Assert.Equal(["tiny:champion"], Assert.IsType<Promotion.Aliased>(await lifecycle.ArchiveAsync("tiny", bob, Stop)).Aliases);
        Assert.Equal(Stages.Dev, (await registry.Artifacts.GetAsync("tiny", Stop))!.Stage);
        await aliases.RemoveAsync("tiny", "champion", bob, cancellationToken: Stop);
        Assert.IsType<Promotion.Moved>(await lifecycle.ArchiveAsync("tiny", bob, Stop));
        Assert.Equal(new AliasChange.Archived("tiny@1"), await aliases.SetAsync("tiny@1", "champion", bob, cancellationToken: Stop));
    }

    [Theory]
    [InlineData("Champion")]
    [InlineData("a:b")]
    [InlineData("")]
    public async Task SetAsync_BadAlias_SaysWhatIsAllowed(string alias)
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterAsync(await registry.DraftAsync("tiny"));
        Assert.IsType<AliasChange.Invalid>(await Aliases(registry).SetAsync("tiny", alias, bob, cancellationToken: Stop));
        Assert.Equal(new AliasChange.NotFound("none"), await Aliases(registry).SetAsync("none", "champion", bob, cancellationToken: Stop));
        Assert.Equal(new AliasChange.NotFound("tiny:x"), await Aliases(registry).RemoveAsync("tiny", "x", bob, cancellationToken: Stop));
    }

    private static AuditLog Audit(TestRegistry registry) => new(registry.Contexts, registry.Time);

    private static ArtifactAliases Aliases(TestRegistry registry) => new(registry.Contexts, Audit(registry), registry.Time);
}

public sealed class AliasOnSqliteTests() : AliasTests(TestDatabase.Sqlite);

public sealed class AliasOnPostgreSqlTests() : AliasTests(TestDatabase.PostgreSql);
