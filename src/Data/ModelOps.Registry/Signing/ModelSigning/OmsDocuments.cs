using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Registry;

// The documents of an OpenSSF Model Signing v1.0 bundle, as its schemas have them: unknown members are refused where the schema says
// "additionalProperties": false.

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record OmsBundle
{
    public required string MediaType { get; init; }
    public required OmsVerificationMaterial VerificationMaterial { get; init; }
    public required OmsEnvelope DsseEnvelope { get; init; }
}

internal sealed record OmsVerificationMaterial
{
    public OmsPublicKey? PublicKey { get; init; }

    [JsonPropertyName("x509CertificateChain")]
    public OmsCertificateChain? CertificateChain { get; init; }

    public OmsCertificate? Certificate { get; init; }
    public IReadOnlyList<OmsLogEntry>? TlogEntries { get; init; }
    public JsonElement? TimestampVerificationData { get; init; }
}

/// <param name="Hint">SHA-256 of the key's PEM, hex.</param>
/// <param name="RawBytes">Bundles before v1.1.0: the key itself, PEM or DER.</param>
internal sealed record OmsPublicKey(string? Hint, byte[]? RawBytes);

internal sealed record OmsCertificateChain
{
    public required IReadOnlyList<OmsCertificate> Certificates { get; init; }
}

internal sealed record OmsCertificate
{
    /// <summary>DER.</summary>
    public required byte[] RawBytes { get; init; }
}

/// <summary>An entry of a Rekor transparency log.</summary>
internal sealed record OmsLogEntry
{
    public string? IntegratedTime { get; init; }
    public OmsInclusionProof? InclusionProof { get; init; }
    public byte[]? CanonicalizedBody { get; init; }
}

internal sealed record OmsInclusionProof
{
    public required string LogIndex { get; init; }
    public required byte[] RootHash { get; init; }
    public required string TreeSize { get; init; }
    public required IReadOnlyList<byte[]> Hashes { get; init; }
    public OmsCheckpoint? Checkpoint { get; init; }
}

internal sealed record OmsCheckpoint(string Envelope);

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record OmsEnvelope
{
    public required byte[] Payload { get; init; }
    public required string PayloadType { get; init; }
    public required IReadOnlyList<OmsSignature> Signatures { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record OmsSignature
{
    public required byte[] Sig { get; init; }
    public string? Keyid { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record OmsStatement
{
    [JsonPropertyName("_type")]
    public required string Type { get; init; }

    public required IReadOnlyList<OmsSubject> Subject { get; init; }
    public required string PredicateType { get; init; }
    public required OmsPredicate Predicate { get; init; }
}

internal sealed record OmsSubject
{
    public required string Name { get; init; }
    public required IReadOnlyDictionary<string, string> Digest { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record OmsPredicate
{
    public required IReadOnlyList<OmsResource> Resources { get; init; }
    public required OmsSerialization Serialization { get; init; }
}

/// <summary>One file.</summary>
internal sealed record OmsResource
{
    public required string Name { get; init; }
    public required string Digest { get; init; }
    public required string Algorithm { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record OmsSerialization
{
    public required string Method { get; init; }

    [JsonPropertyName("hash_type")]
    public required string HashType { get; init; }

    [JsonPropertyName("shard_size")]
    public long? ShardSize { get; init; }

    [JsonPropertyName("allow_symlinks")]
    public required bool AllowSymlinks { get; init; }

    [JsonPropertyName("ignore_paths")]
    public IReadOnlyList<string>? IgnorePaths { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    AllowDuplicateProperties = false,
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(OmsBundle))]
[JsonSerializable(typeof(OmsStatement))]
internal sealed partial class OmsJson : JsonSerializerContext;
