using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Registry;

/// <summary>What an artifact is and how it was made. Immutable: its digest names it for ever.</summary>
public sealed record ArtifactManifest
{
    public const int CurrentSchemaVersion = 1;

    /// <summary>The attribute that names the licence: an SPDX expression or a name.</summary>
    public const string License = "licence";

    /// <summary>The attribute that says where the files come from.</summary>
    public const string Source = "source";

    /// <summary>The attribute that names the job that made it.</summary>
    public const string JobAttribute = "job";

    public int SchemaVersion { get; init; } = CurrentSchemaVersion;
    public required string Name { get; init; }
    public required string Version { get; init; }
    /// <summary>One of <see cref="ArtifactKinds.All"/>.</summary>
    public required string Kind { get; init; }
    public required IReadOnlyList<ManifestFile> Files { get; init; }
    public IReadOnlyList<ManifestParent> Parents { get; init; } = [];
    /// <summary>How it was made, everything filled in: enough to make it again from the parents.</summary>
    public JsonElement? Recipe { get; init; }
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
    /// <summary>Version of the ModelOps that made and registered it, with the commit.</summary>
    public string? CodeVersion { get; init; }
    /// <summary>Facts about it as text: table versions, licence.</summary>
    public IReadOnlyDictionary<string, string> Attributes { get; init; } = new Dictionary<string, string>();
    public required string CreatedBy { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary><c>name@version</c></summary>
    [JsonIgnore]
    public string Reference => $"{Name}@{Version}";

    /// <summary>The canonical bytes that are signed.</summary>
    public byte[] ToCanonicalBytes() => CanonicalJson.Serialize(this, ManifestJson.Default.ArtifactManifest);
}

/// <param name="Path">Relative, '/'-separated.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Sha256">Hex, lower case.</param>
public sealed record ManifestFile(string Path, long Size, string Sha256);

/// <param name="Role">What it was for the child: base, dataset, adapter, source, tokenizer, candidate.</param>
/// <param name="Artifact"><c>name@version</c></param>
/// <param name="Digest">SHA-256 of its manifest, hex.</param>
public sealed record ManifestParent(string Role, string Artifact, string Digest);

public static class ArtifactKinds
{
    public const string Model = "model";
    public const string Adapter = "adapter";
    public const string Gguf = "gguf";
    public const string Dataset = "dataset";
    public const string Index = "index";
    public const string Reward = "reward";
    public const string Evaluation = "evaluation";

    public static IReadOnlyList<string> All { get; } = [Model, Adapter, Gguf, Dataset, Index, Reward, Evaluation];
}

internal static class ManifestDigest
{
    public static string Of(ReadOnlySpan<byte> canonicalManifest) => Convert.ToHexStringLower(SHA256.HashData(canonicalManifest));
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    AllowDuplicateProperties = false,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ArtifactManifest))]
[JsonSerializable(typeof(DsseEnvelope))]
internal sealed partial class ManifestJson : JsonSerializerContext;
