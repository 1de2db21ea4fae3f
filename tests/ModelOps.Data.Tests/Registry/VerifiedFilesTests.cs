using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

/// <summary>The fast path and where it must not be taken.</summary>
public sealed class VerifiedFilesTests
{
    private const string weights = "weights/model.safetensors";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The price of the fast path, and why deployment does not take it: a byte edited under an unchanged time is not seen.</summary>
    [Fact]
    public async Task MaterializeAsync_ByteEditedKeepingSizeAndTime_PassesRememberedAndIsRefusedByEveryByte()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        SetWholeSecond(registry.BlobPath(root.Manifest, weights));
        var memory = registry.File("cache/verified.txt");
        var reader = Reader(registry, memory);
        var artifact = Assert.IsType<ArtifactLoad.Verified>(await reader.LoadAsync("base", "1", root.Digest, Stop)).Artifact;
        var folder = registry.File("laid-out");
        Assert.IsType<Materialization.Ready>(await reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop));

        EditKeepingTime(registry.BlobPath(root.Manifest, weights));
        var restarted = Reader(registry, memory);
        Assert.IsType<Materialization.Ready>(await restarted.MaterializeAsync(artifact, folder, FileChecks.Remembered, Stop));
        var refused = Assert.IsType<Materialization.Refused>(await restarted.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop));
        Assert.Contains(weights, refused.Failure.Detail, StringComparison.Ordinal);
        Assert.False((await registry.Artifacts.VerifyAsync("base", Stop))!.Verified);
    }

    [Fact]
    public async Task MaterializeAsync_BlobReplacedBesideAWholeCopy_IsRefusedByEveryByte()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        var reader = Reader(registry, registry.File("verified.txt"));
        var artifact = Assert.IsType<ArtifactLoad.Verified>(await reader.LoadAsync("base", "1", root.Digest, Stop)).Artifact;
        var folder = registry.File("laid-out");
        await reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop);
        var blob = registry.BlobPath(root.Manifest, weights);
        File.Copy(blob, blob + ".new");
        TestRegistry.FlipByte(blob + ".new", 3);
        File.Move(blob + ".new", blob, overwrite: true); // the folder keeps the old inode
        var refused = Assert.IsType<Materialization.Refused>(await reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop));
        Assert.Contains(weights, refused.Failure.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MaterializeAsync_ByteEdited_IsRefusedByRememberedToo()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        var reader = Reader(registry, registry.File("verified.txt"));
        var artifact = Assert.IsType<ArtifactLoad.Verified>(await reader.LoadAsync("base", "1", root.Digest, Stop)).Artifact;
        await reader.MaterializeAsync(artifact, registry.File("laid-out"), FileChecks.Remembered, Stop);
        var path = registry.BlobPath(root.Manifest, weights);
        TestRegistry.FlipByte(path, 3);
        File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(1)); // an edit within one tick of the clock is the case above
        Assert.IsType<Materialization.Refused>(await reader.MaterializeAsync(artifact, registry.File("laid-out"), FileChecks.Remembered, Stop));
    }

    [Fact]
    public async Task MaterializeAsync_MemoryCutOffOrBroken_ReadsTheFilesAgain()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        SetWholeSecond(registry.BlobPath(root.Manifest, weights));
        var memory = registry.File("verified.txt");
        var artifact = Assert.IsType<ArtifactLoad.Verified>(await registry.Reader.LoadAsync("base", "1", root.Digest, Stop)).Artifact;
        await Reader(registry, memory).MaterializeAsync(artifact, registry.File("laid-out"), FileChecks.EveryByte, Stop);
        Assert.Equal(2, (await File.ReadAllLinesAsync(memory, Stop)).Length);
        await File.WriteAllTextAsync(memory, (await File.ReadAllTextAsync(memory, Stop))[..^80] + "\nx y z\n", Stop);

        EditKeepingTime(registry.BlobPath(root.Manifest, weights));
        Assert.IsType<Materialization.Refused>(
            await Reader(registry, memory).MaterializeAsync(artifact, registry.File("laid-out"), FileChecks.Remembered, Stop));
    }

    [Fact]
    public async Task VerifyAsync_FileOfAnAncestorEdited_IsFoundByDeepAlone()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var (root, _, _) = await registry.RegisterChainAsync();
        TestRegistry.FlipByte(registry.BlobPath(root.Manifest, weights), 0);
        Assert.True((await registry.Artifacts.VerifyAsync("gguf", Stop))!.Verified);
        var failed = Assert.Single((await registry.Artifacts.VerifyAsync("gguf", deep: true, Stop))!.Checks, check => !check.Passed);
        Assert.Equal(("base@1", VerificationChecks.File), (failed.Artifact, failed.Check));
    }

    [Fact]
    public async Task VerifyAsync_BundleEditedOrOfOtherFiles_FailsTheBundle()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var (root, adapter, _) = await registry.RegisterChainAsync();
        var path = registry.Store.LocalPath($"artifacts/bundles/{root.Manifest.Name}/1.sigstore.json")!;
        var other = registry.Store.LocalPath($"artifacts/bundles/{adapter.Manifest.Name}/1.sigstore.json")!;
        foreach (var text in new[] { "{}", await File.ReadAllTextAsync(other, Stop) })
        {
            await File.WriteAllTextAsync(path, text, Stop);
            var failed = Assert.Single((await registry.Artifacts.VerifyAsync("base", Stop))!.Checks, check => !check.Passed);
            Assert.Equal(("base@1", VerificationChecks.Bundle), (failed.Artifact, failed.Check));
        }
    }

    private static ArtifactReader Reader(TestRegistry registry, string memory) =>
        new(registry.Store, TrustedKeys.Load(registry.Keys), new VerifiedFiles(memory));

    /// <summary>The file system keeps nanoseconds, which DateTime cannot give back.</summary>
    private static void SetWholeSecond(string path) => File.SetLastWriteTimeUtc(path, new DateTime(2026, 3, 1, 12, 0, 0, DateTimeKind.Utc));

    private static void EditKeepingTime(string path)
    {
        var time = File.GetLastWriteTimeUtc(path);
        TestRegistry.FlipByte(path, 3);
        File.SetLastWriteTimeUtc(path, time);
    }
}
