using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

/// <summary>Two registries: what one packs, the other registers as it is, or refuses.</summary>
public abstract class PackageTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bom_OfAChain_ValidatesAgainstCycloneDxAndNamesFilesDatasetsAndMetrics()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var data = await registry.RegisterAsync(await registry.DraftAsync("data", ArtifactKinds.Dataset));
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        var draft = await registry.DraftAsync("adapter", ArtifactKinds.Adapter, TestRegistry.Parent("base", root), TestRegistry.Parent("dataset", data));
        await registry.RegisterAsync(draft with { Recipe = JsonElement.Parse("""{"rank":8,"learning_rate":0.001}""") });

        foreach (var name in new[] { "adapter", "data" })
        {
            var package = Assert.IsType<ArtifactExport.Exported>(await Exports(registry).ExportAsync(name, Stop)).Package;
            await Schemas.AssertCycloneDxAsync(package.Bom, Stop);
        }
        var bom = Assert.IsType<ArtifactExport.Exported>(await Exports(registry).ExportAsync("adapter", Stop)).Package.Bom;
        var component = bom["metadata"]!["component"]!;
        Assert.Equal("machine-learning-model", component["type"]!.GetValue<string>());
        Assert.Equal("data@1", component["modelCard"]!["modelParameters"]!["datasets"]![0]!["ref"]!.GetValue<string>());
        Assert.Equal("1.25", component["modelCard"]!["quantitativeAnalysis"]!["performanceMetrics"]![0]!["value"]!.GetValue<string>());
        Assert.Equal(draft.Files.Select(file => file.Sha256).Order(), component["components"]!.AsArray().Select(file => file!["hashes"]![0]!["content"]!.GetValue<string>()).Order());
        Assert.Equal(["base@1", "data@1"], bom["components"]!.AsArray().Select(parent => parent!["bom-ref"]!.GetValue<string>()).Order());
        Assert.Contains(component["properties"]!.AsArray(), property => property!["value"]!.GetValue<string>() == """{"learning_rate":0.001,"rank":8}""");
    }

    [Fact]
    public async Task ImportAsync_TrustedKey_RegistersTheOriginalAndTheChainVerifies()
    {
        using var maker = await TestRegistry.CreateAsync(database);
        var (_, _, gguf) = await maker.RegisterChainAsync();
        using var taker = await TestRegistry.CreateAsync(database);
        var request = Request(await PackAsync(maker, "gguf"));

        var unknown = Assert.IsType<Import.Refused>(await Imports(taker).ImportAsync(request, "grace", Stop)).Failure;
        Assert.Equal(VerificationChecks.Key, unknown.Check);
        Assert.Contains("signing trust", unknown.Detail, StringComparison.Ordinal);
        Assert.Empty(await taker.AuditRowsAsync());

        var found = Assert.IsType<Import.Checked>(await Imports(taker).ImportAsync(request with { Trust = true, CheckOnly = true }, "grace", Stop));
        Assert.Equal(2, found.Missing.Count);
        Assert.Equal(2, Assert.IsType<Import.Invalid>(await Imports(taker).ImportAsync(request, "grace", Stop)).Errors.Count);
        await taker.DraftAsync("gguf"); // stores the same two files
        Assert.Equal(gguf.Digest, Assert.IsType<Import.Imported>(await Imports(taker).ImportAsync(request, "grace", Stop)).Digest);

        Assert.True((await taker.Artifacts.VerifyAsync("gguf", Stop))!.Verified);
        Assert.Equal(await File.ReadAllBytesAsync(maker.ManifestPath(gguf.Manifest), Stop), await File.ReadAllBytesAsync(taker.ManifestPath(gguf.Manifest), Stop));
        Assert.IsType<Import.Unchanged>(await Imports(taker).ImportAsync(request, "grace", Stop));
        Assert.Equal(["gguf@1"], (await taker.Artifacts.ListAsync(cancellationToken: Stop)).Select(artifact => artifact.Manifest.Reference));
        Assert.Equal(["signing_key.trusted", "artifact.imported"], (await taker.AuditRowsAsync()).Select(row => row.Action));
    }

    [Fact]
    public async Task ImportAsync_OtherContentOfAVersionThatIsHere_IsAConflict()
    {
        using var maker = await TestRegistry.CreateAsync(database);
        await maker.RegisterChainAsync();
        using var taker = await TestRegistry.CreateAsync(database);
        var draft = await taker.DraftAsync("base");
        await taker.RegisterAsync(draft with { Attributes = new Dictionary<string, string>() });
        foreach (var name in new[] { "base", "gguf" }) // as itself, and as the ancestor of another
        {
            var request = Request(await PackAsync(maker, name)) with { Trust = true, CheckOnly = true };
            Assert.Equal("base@1", Assert.IsType<Import.Conflict>(await Imports(taker).ImportAsync(request, "grace", Stop)).Reference);
        }
    }

    [Fact]
    public async Task ImportAsync_AncestorMissingOrStolenSignature_IsRefused()
    {
        using var maker = await TestRegistry.CreateAsync(database);
        await maker.RegisterChainAsync();
        using var taker = await TestRegistry.CreateAsync(database);
        var request = Request(await PackAsync(maker, "gguf")) with { Trust = true, CheckOnly = true };

        var missing = Assert.IsType<Import.Refused>(await Imports(taker).ImportAsync(request with { Parents = [] }, "grace", Stop)).Failure;
        Assert.Equal(("adapter@1", VerificationChecks.Manifest), (missing.Artifact, missing.Check));
        var envelope = JsonNode.Parse(request.Envelope)!;
        var payload = Encoding.UTF8.GetString(Convert.FromBase64String(envelope["payload"]!.GetValue<string>()));
        envelope["payload"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(payload.Replace("1.25", "0.25", StringComparison.Ordinal)));
        var stolen = Assert.IsType<Import.Refused>(
            await Imports(taker).ImportAsync(request with { Envelope = JsonSerializer.SerializeToUtf8Bytes(envelope) }, "grace", Stop)).Failure;
        Assert.Equal(VerificationChecks.Signature, stolen.Check);
        Assert.IsType<Import.Invalid>(await Imports(taker).ImportAsync(request with { Envelope = "{}"u8.ToArray() }, "grace", Stop));
    }

    [Fact]
    public async Task ImportAsync_BlobHereThatWasTampered_IsRefused()
    {
        using var maker = await TestRegistry.CreateAsync(database);
        var root = await maker.RegisterAsync(await maker.DraftAsync("base"));
        using var taker = await TestRegistry.CreateAsync(database);
        await taker.DraftAsync("base");
        TestRegistry.FlipByte(taker.BlobPath(root.Manifest, "config.json"), 3);
        var request = Request(await PackAsync(maker, "base")) with { Trust = true };
        Assert.Equal(VerificationChecks.File, Assert.IsType<Import.Refused>(await Imports(taker).ImportAsync(request, "grace", Stop)).Failure.Check);
        Assert.Empty(await taker.Artifacts.ListAsync(cancellationToken: Stop));
    }

    [Fact]
    public async Task ExportAsync_TamperedFile_IsRefused()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        TestRegistry.FlipByte(registry.BlobPath(root.Manifest, "config.json"), 3);
        Assert.Contains("config.json", Assert.IsType<ArtifactExport.Refused>(await Exports(registry).ExportAsync("base", Stop)).Failure.Detail, StringComparison.Ordinal);
        Assert.IsType<ArtifactExport.NotFound>(await Exports(registry).ExportAsync("nobody", Stop));
    }

    private static async Task<ArtifactPackage> PackAsync(TestRegistry registry, string name) =>
        Assert.IsType<ArtifactExport.Exported>(await Exports(registry).ExportAsync(name, Stop)).Package;

    private static ImportRequest Request(ArtifactPackage package) => new()
    {
        Envelope = package.Envelope,
        Bundle = package.Bundle,
        Parents = package.Parents,
        PublicKeys = [.. package.PublicKeys.Select(key => key.Pem)],
    };

    private static ArtifactExports Exports(TestRegistry registry) => new(registry.Artifacts, registry.Store, TrustedKeys.Load(registry.Keys));

    private static ArtifactImports Imports(TestRegistry registry) =>
        new(registry.Artifacts, registry.Store, TrustedKeys.Load(registry.Keys), registry.SigningKeys, registry.Audit);
}

public sealed class PackageOnSqliteTests() : PackageTests(TestDatabase.Sqlite);

public sealed class PackageOnPostgreSqlTests() : PackageTests(TestDatabase.PostgreSql);
