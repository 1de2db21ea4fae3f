using System.Text;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class VerificationTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task VerifyAsync_UntouchedChain_PassesEveryCheck()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterChainAsync();
        var report = (await registry.Artifacts.VerifyAsync("gguf", Stop))!;
        Assert.True(report.Verified);
        Assert.Equal(["adapter@1", "base@1", "gguf@1"], report.Checks.Select(check => check.Artifact).Distinct().Order());
        Assert.Equal(
            ["config.json", "weights/model.safetensors"],
            report.Checks.Where(check => check.Check == VerificationChecks.File).Select(check => check.Detail));
        Assert.Null(await registry.Artifacts.VerifyAsync("nothing", Stop));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(10)]
    public async Task VerifyAsync_ByteOfAFileFlipped_NamesTheFileAndItIsNotLaidOut(int at)
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (_, _, gguf) = await registry.RegisterChainAsync();
        TestRegistry.FlipByte(registry.BlobPath(gguf.Manifest, "weights/model.safetensors"), at);

        var failed = Assert.Single((await registry.Artifacts.VerifyAsync("gguf", Stop))!.Checks, check => !check.Passed);
        Assert.Equal(("gguf@1", VerificationChecks.File), (failed.Artifact, failed.Check));
        Assert.StartsWith("weights/model.safetensors was changed", failed.Detail, StringComparison.Ordinal);

        var used = Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("gguf", Stop)).Artifact;
        var refused = Assert.IsType<Materialization.Refused>(await registry.Reader.MaterializeAsync(used, registry.File("out"), FileChecks.EveryByte, Stop));
        Assert.Equal(failed.Detail, refused.Failure.Detail);
        Assert.False(Directory.Exists(registry.File("out")));
    }

    [Fact]
    public async Task VerifyAsync_StoredFileReplacedByALink_NamesTheFileAndItIsNotLaidOut()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (_, _, gguf) = await registry.RegisterChainAsync();
        ReplaceByLink(registry, registry.BlobPath(gguf.Manifest, "weights/model.safetensors"));

        var failed = Assert.Single((await registry.Artifacts.VerifyAsync("gguf", Stop))!.Checks, check => !check.Passed);
        Assert.Equal(("gguf@1", VerificationChecks.File), (failed.Artifact, failed.Check));
        Assert.StartsWith("weights/model.safetensors was changed", failed.Detail, StringComparison.Ordinal);
        Assert.Contains("symbolic link", failed.Detail, StringComparison.Ordinal);

        var used = Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("gguf", Stop)).Artifact;
        var refused = Assert.IsType<Materialization.Refused>(await registry.Reader.MaterializeAsync(used, registry.File("out"), FileChecks.EveryByte, Stop));
        Assert.Equal(failed.Detail, refused.Failure.Detail);
        Assert.False(Directory.Exists(registry.File("out")));
    }

    [Fact]
    public async Task UseAsync_ManifestReplacedByALink_IsRefused()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        ReplaceByLink(registry, registry.ManifestPath(root.Manifest));

        var refused = Assert.IsType<ArtifactLoad.Refused>(await registry.Artifacts.UseAsync("gguf", Stop));
        Assert.Equal(("base@1", VerificationChecks.Manifest), (refused.Failure.Artifact, refused.Failure.Check));
        Assert.Contains("symbolic link", refused.Failure.Detail, StringComparison.Ordinal);
    }

    private static void ReplaceByLink(TestRegistry registry, string path)
    {
        File.Move(path, registry.File("elsewhere"));
        File.CreateSymbolicLink(path, registry.File("elsewhere"));
    }

    [Fact]
    public async Task VerifyAsync_FileCutExtendedOrDeleted_NamesTheFile()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        var path = registry.BlobPath(root.Manifest, "config.json");
        var bytes = await File.ReadAllBytesAsync(path, Stop);
        foreach (var changed in new[] { bytes[..^1], [.. bytes, 0], null })
        {
            if (changed is null)
                File.Delete(path);
            else
                await File.WriteAllBytesAsync(path, changed, Stop);
            var failed = Assert.Single((await registry.Artifacts.VerifyAsync("base", Stop))!.Checks, check => !check.Passed);
            Assert.StartsWith($"config.json {(changed is null ? "is missing" : "was changed")}", failed.Detail, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task UseAsync_ManifestEditedAfterSigning_RefusesTheSignature()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        registry.EditManifest(root.Manifest, signed => TestRegistry.Replace(signed, "Apache-2.0", "Apache-9.0"));
        AssertRefused(await registry.Artifacts.UseAsync("base", Stop), "base@1", VerificationChecks.Signature, registry.Key.KeyId);
    }

    [Fact]
    public async Task UseAsync_SignatureFlipped_RefusesTheSignature()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        registry.EditManifest(root.Manifest, signed =>
        {
            var signature = signed.Signature.ToArray();
            signature[5] ^= 1;
            return signed with { Signature = signature };
        });
        AssertRefused(await registry.Artifacts.UseAsync("base", Stop), "base@1", VerificationChecks.Signature, registry.Key.KeyId);
    }

    [Fact]
    public async Task UseAsync_SignedByAStranger_RefusesTheKey()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        using var stranger = SigningKey.LoadOrCreate(registry.File("stranger"));
        registry.EditManifest(root.Manifest, _ => SignedManifest.Sign(root.Manifest, stranger));
        AssertRefused(await registry.Artifacts.UseAsync("base", Stop), "base@1", VerificationChecks.Key, stranger.KeyId);
    }

    [Fact]
    public async Task UseAsync_SignedAgainWithOtherContent_RefusesTheDigest()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        registry.EditManifest(root.Manifest, _ => SignedManifest.Sign(root.Manifest with { CreatedBy = "mallory" }, registry.Key));
        AssertRefused(await registry.Artifacts.UseAsync("base", Stop), "base@1", VerificationChecks.Digest, root.Digest);
        AssertRefused(await registry.Artifacts.UseAsync("gguf", Stop), "base@1", VerificationChecks.Digest, root.Digest);
    }

    [Fact]
    public async Task LoadAsync_AnotherArtifactsManifestInItsPlace_RefusesTheContent()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, adapter, _) = await registry.RegisterChainAsync();
        File.Copy(registry.ManifestPath(root.Manifest), registry.ManifestPath(adapter.Manifest), overwrite: true);
        AssertRefused(
            await registry.Reader.LoadAsync("adapter", "1", cancellationToken: Stop), "adapter@1", VerificationChecks.Content, "base@1");
    }

    [Fact]
    public async Task UseAsync_AncestorEdited_NamesTheAncestor()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        registry.EditManifest(root.Manifest, signed => TestRegistry.Replace(signed, "1.25", "0.25"));
        AssertRefused(await registry.Artifacts.UseAsync("gguf", Stop), "base@1", VerificationChecks.Signature, registry.Key.KeyId);
        File.Delete(registry.ManifestPath(root.Manifest));
        AssertRefused(
            await registry.Artifacts.UseAsync("gguf", Stop), "base@1", VerificationChecks.Manifest, SignedManifest.KeyOf("base", "1"));
    }

    [Fact]
    public async Task LoadAsync_RandomlyChangedEnvelope_IsRefusedOrMeansTheSame()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        var path = registry.ManifestPath(root.Manifest);
        var original = await File.ReadAllBytesAsync(path, Stop);
        var random = new Random(42);
        var reader = registry.Reader;
        var refused = 0;
        for (var i = 0; i < 1_000; i++)
        {
            await File.WriteAllBytesAsync(path, Mutate(original, random), Stop);
            switch (await reader.LoadAsync("base", "1", cancellationToken: Stop))
            {
                case ArtifactLoad.Verified { Artifact: var artifact }:
                    Assert.Equal(root.Digest, artifact.Digest);
                    break;
                case ArtifactLoad.Refused { Failure: var failure }:
                    Assert.Equal("base@1", failure.Artifact);
                    refused++;
                    break;
                default:
                    Assert.Fail("A reader verifies or refuses.");
                    break;
            }
        }
        Assert.InRange(refused, 900, 1_000);
    }

    [Fact]
    public async Task MaterializeAsync_Verified_LaysOutEveryFileAndUsesTheFolderAgain()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var artifact = await UseAsync(registry);
        var folder = registry.File("out");
        Assert.Equal(new Materialization.Ready(folder), await registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop));
        Assert.Equal("weights of base", await File.ReadAllTextAsync(Path.Combine(folder, "weights/model.safetensors"), Stop));
        var made = Directory.GetCreationTimeUtc(folder);
        Assert.Equal(new Materialization.Ready(folder), await registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop));
        Assert.Equal(made, Directory.GetCreationTimeUtc(folder));
        Assert.Empty(Directory.EnumerateDirectories(Path.GetDirectoryName(folder)!, "*.tmp*"));
    }

    [Fact]
    public async Task MaterializeAsync_FolderChangedSince_IsLaidOutAgain()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var artifact = await UseAsync(registry);
        var folder = registry.File("out");
        await registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop);
        var config = Path.Combine(folder, "config.json");
        File.Delete(config); // not written in place: it may be a link into the store
        await File.WriteAllTextAsync(config, """{"of":"BASE"}""", Stop);
        await File.WriteAllTextAsync(Path.Combine(folder, "planted.py"), "import os", Stop);

        Assert.IsType<Materialization.Ready>(await registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop));
        Assert.Equal("""{"of":"base"}""", await File.ReadAllTextAsync(config, Stop));
        Assert.False(File.Exists(Path.Combine(folder, "planted.py")));
    }

    [Fact]
    public async Task MaterializeAsync_FileReplacedByALink_IsLaidOutAgain()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var artifact = await UseAsync(registry);
        var folder = registry.File("out");
        await registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop);
        var config = Path.Combine(folder, "config.json");
        File.Move(config, registry.File("elsewhere"));
        File.CreateSymbolicLink(config, registry.File("elsewhere"));
        Assert.IsType<Materialization.Ready>(await registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop));
        Assert.Null(new FileInfo(config).LinkTarget);
    }

    [Fact]
    public async Task MaterializeAsync_ManyAtOnce_AllGetTheFolder()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var artifact = await UseAsync(registry);
        var folder = registry.File("out");
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
            Task.Run(() => registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop), Stop))).WaitAsync(TimeSpan.FromSeconds(20), Stop);
        Assert.All(outcomes, outcome => Assert.Equal(new Materialization.Ready(folder), outcome));
        Assert.Equal(2, Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Length);
        Assert.Empty(Directory.EnumerateDirectories(Path.GetDirectoryName(folder)!, "*.tmp*"));
    }

    [Fact]
    public async Task MaterializeAsync_ManyAtOnceOverAnotherFolder_AllGetTheFolder()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var artifact = await UseAsync(registry);
        for (var round = 0; round < 25; round++)
        {
            var folder = registry.File($"out-{round}");
            Directory.CreateDirectory(folder);
            await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "of another version", Stop);
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
                Task.Run(() => registry.Reader.MaterializeAsync(artifact, folder, FileChecks.EveryByte, Stop), Stop))).WaitAsync(TimeSpan.FromSeconds(20), Stop);
            Assert.All(outcomes, outcome => Assert.Equal(new Materialization.Ready(folder), outcome));
            Assert.Equal(2, Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Length);
            Assert.Empty(Directory.EnumerateDirectories(Path.GetDirectoryName(folder)!, "*.tmp*"));
        }
    }

    [Fact]
    public void Sign_KnownManifest_CoversTheDssePreAuthenticationEncoding()
    {
        using var home = new TempFolder();
        using var key = SigningKey.LoadOrCreate(home.File("keys"));
        var manifest = new ArtifactManifest
        {
            Name = "a",
            Version = "1",
            Kind = ArtifactKinds.Model,
            Files = [],
            CreatedBy = "ada",
            CreatedAt = DateTimeOffset.UnixEpoch,
        };
        var signed = SignedManifest.Sign(manifest, key);
        var payload = Encoding.UTF8.GetString(signed.Payload.Span);
        Assert.Equal(
            """{"attributes":{},"created_at":"1970-01-01T00:00:00+00:00","created_by":"ada","files":[]""" +
            ""","kind":"model","metrics":{},"name":"a","parents":[],"schema_version":1,"version":"1"}""",
            payload);
        var message = Encoding.UTF8.GetBytes($"DSSEv1 41 application/vnd.modelops.manifest.v1+json {signed.Payload.Length} {payload}");
        Assert.Equal(key.Sign(message), signed.Signature.ToArray());
    }

    private static async Task<VerifiedArtifact> UseAsync(TestRegistry registry)
    {
        await registry.RegisterAsync(await registry.DraftAsync("base"));
        return Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("base", Stop)).Artifact;
    }

    private static void AssertRefused(ArtifactLoad outcome, string artifact, string check, string detail)
    {
        var failure = Assert.IsType<ArtifactLoad.Refused>(outcome).Failure;
        Assert.Equal((artifact, check), (failure.Artifact, failure.Check));
        Assert.Contains(detail, failure.Detail, StringComparison.Ordinal);
    }

    private static byte[] Mutate(byte[] original, Random random)
    {
        List<byte> bytes = [.. original];
        for (var edits = random.Next(1, 4); edits > 0; edits--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(3))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveAt(at);
                    break;
                default:
                    bytes.Insert(at, (byte)random.Next(256));
                    break;
            }
        }
        return [.. bytes];
    }
}

public sealed class VerificationOnSqliteTests() : VerificationTests(TestDatabase.Sqlite);

public sealed class VerificationOnPostgreSqlTests() : VerificationTests(TestDatabase.PostgreSql);
