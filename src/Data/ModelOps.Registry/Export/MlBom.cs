using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace ModelOps.Registry;

/// <summary>A CycloneDX 1.6 ML-BOM of what the signed manifests say, and nothing that they don't.</summary>
internal static class MlBom
{
    /// <param name="chain">The artifact, then its ancestors.</param>
    public static JsonObject Create(IReadOnlyList<VerifiedArtifact> chain)
    {
        var (top, ancestors) = (chain[0], chain.Skip(1).ToList());
        var component = Component(top);
        component["components"] = new JsonArray([.. top.Manifest.Files.Select(FileOf)]);
        if (ancestors.Count > 0)
            component["pedigree"] = new JsonObject { ["ancestors"] = new JsonArray([.. ancestors.Select(WithoutRef)]) };
        return new JsonObject
        {
            ["$schema"] = "http://cyclonedx.org/schema/bom-1.6.schema.json",
            ["bomFormat"] = "CycloneDX",
            ["specVersion"] = "1.6",
            ["serialNumber"] = $"urn:uuid:{new Guid(Convert.FromHexString(top.Digest[..32]), bigEndian: true)}",
            ["version"] = 1,
            ["metadata"] = new JsonObject
            {
                ["timestamp"] = Time(top.Manifest.CreatedAt),
                ["tools"] = new JsonObject { ["components"] = new JsonArray(Tool(top.Manifest)) },
                ["authors"] = new JsonArray(new JsonObject { ["name"] = top.Manifest.CreatedBy }),
                ["component"] = component,
            },
            ["components"] = new JsonArray([.. ancestors.Select(Component)]),
            ["dependencies"] = new JsonArray([.. chain.Select(DependenciesOf)]),
        };
    }

    private static JsonObject Component(VerifiedArtifact artifact)
    {
        var manifest = artifact.Manifest;
        var component = new JsonObject
        {
            ["type"] = IsData(manifest) ? "data" : "machine-learning-model",
            ["bom-ref"] = manifest.Reference,
            ["name"] = manifest.Name,
            ["version"] = manifest.Version,
            ["properties"] = Properties(artifact),
        };
        if (manifest.Attributes.GetValueOrDefault(ArtifactManifest.License) is { Length: > 0 } licence)
            component["licenses"] = new JsonArray(new JsonObject { ["license"] = new JsonObject { ["name"] = licence } });
        if (IsData(manifest))
            component["data"] = new JsonArray(new JsonObject { ["type"] = "dataset", ["name"] = manifest.Reference });
        else
            component["modelCard"] = ModelCard(manifest);
        return component;
    }

    /// <summary>A <c>bom-ref</c> names one component only; in the pedigree the same artifact is described again.</summary>
    private static JsonNode WithoutRef(VerifiedArtifact artifact)
    {
        var component = Component(artifact);
        component.Remove("bom-ref");
        return component;
    }

    private static JsonObject ModelCard(ArtifactManifest manifest)
    {
        var datasets = manifest.Parents.Where(parent => parent.Role == "dataset")
            .Select(parent => (JsonNode)new JsonObject { ["ref"] = parent.Artifact });
        return new JsonObject
        {
            ["modelParameters"] = new JsonObject { ["datasets"] = new JsonArray([.. datasets]) },
            ["quantitativeAnalysis"] = new JsonObject
            {
                ["performanceMetrics"] = new JsonArray(
                [
                    .. manifest.Metrics.OrderBy(metric => metric.Key, StringComparer.Ordinal).Select(metric => new JsonObject
                    {
                        ["type"] = metric.Key,
                        ["value"] = metric.Value.ToString("R", CultureInfo.InvariantCulture),
                    }),
                ]),
            },
        };
    }

    private static JsonArray Properties(VerifiedArtifact artifact)
    {
        var manifest = artifact.Manifest;
        List<(string Name, string Value)> properties =
        [
            ("modelops:kind", manifest.Kind),
            ("modelops:manifest_sha256", artifact.Digest),
            ("modelops:signed_by", artifact.KeyId),
            ("modelops:created_by", manifest.CreatedBy),
            ("modelops:created_at", Time(manifest.CreatedAt)),
        ];
        if (manifest.CodeVersion is { } code)
            properties.Add(("modelops:code_version", code));
        if (manifest.Recipe is { } recipe)
            properties.Add(("modelops:recipe", Encoding.UTF8.GetString(CanonicalJson.Serialize(recipe))));
        properties.AddRange(manifest.Parents.Select(parent => ($"modelops:parent:{parent.Role}", $"{parent.Artifact} {parent.Digest}")));
        properties.AddRange(manifest.Attributes.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => ($"modelops:attribute:{pair.Key}", pair.Value)));
        return new JsonArray(
            [.. properties.Select(property => new JsonObject { ["name"] = property.Name, ["value"] = property.Value })]);
    }

    private static JsonNode FileOf(ManifestFile file) => new JsonObject
    {
        ["type"] = "file",
        ["name"] = file.Path,
        ["hashes"] = new JsonArray(new JsonObject { ["alg"] = "SHA-256", ["content"] = file.Sha256 }),
    };

    private static JsonObject Tool(ArtifactManifest manifest)
    {
        var tool = new JsonObject { ["type"] = "application", ["name"] = "ModelOps" };
        if (manifest.CodeVersion is { } version)
            tool["version"] = version;
        return tool;
    }

    private static JsonObject DependenciesOf(VerifiedArtifact artifact) => new()
    {
        ["ref"] = artifact.Manifest.Reference,
        ["dependsOn"] = new JsonArray([.. artifact.Manifest.Parents.Select(parent => parent.Artifact).Distinct().Select(parent => (JsonNode)parent)]),
    };

    private static bool IsData(ArtifactManifest manifest) => manifest.Kind is ArtifactKinds.Dataset or ArtifactKinds.Index;

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
