using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Registry;

/// <summary>
/// Says that an artifact must not be used any more. Stored beside the manifest as a signed DSSE envelope, so that workers, which have no
/// database, obey it too.
/// </summary>
/// <param name="Artifact"><c>name@version</c></param>
/// <param name="Digest">SHA-256 of its manifest, hex.</param>
internal sealed record Revocation(string Artifact, string Digest, string Reason, string RevokedBy, DateTimeOffset RevokedAt)
{
    public const string PayloadType = "application/vnd.modelops.revocation.v1+json";

    /// <summary>Where the revocation of an artifact is stored.</summary>
    public static string KeyOf(string name, string version) => $"artifacts/revocations/{name}/{version}.json";

    public byte[] Sign(SigningKey key)
    {
        var payload = CanonicalJson.Serialize(this, RevocationJson.Default.Revocation);
        var pair = key.Current;
        return JsonSerializer.SerializeToUtf8Bytes(
            new DsseEnvelope(
                PayloadType, payload, [new DsseSignature(pair.Public.KeyId, pair.Sign(Dsse.Message(PayloadType, payload)))]),
            ManifestJson.Default.DsseEnvelope);
    }

    /// <summary>What the stored bytes say. Whatever stands there refuses the artifact: a broken revocation is no reason to use it.</summary>
    public static string Describe(byte[] stored, string reference, TrustedKeys keys)
    {
        try
        {
            if (JsonSerializer.Deserialize(stored, ManifestJson.Default.DsseEnvelope)
                is not { PayloadType: PayloadType, Signatures: [var signature] } envelope)
                return "it has a revocation that cannot be read.";
            var check = keys.Verify(signature.KeyId, Dsse.Message(PayloadType, envelope.Payload), signature.Signature);
            if (check != SignatureCheck.Valid)
                return $"it has a revocation whose signature by {signature.KeyId} does not verify ({check}).";
            return JsonSerializer.Deserialize(envelope.Payload, RevocationJson.Default.Revocation) is { } revocation
                && revocation.Artifact == reference
                ? $"it was revoked by {revocation.RevokedBy} on {revocation.RevokedAt:yyyy-MM-dd}: {revocation.Reason}"
                : "it has the revocation of another artifact in its place.";
        }
        catch (JsonException)
        {
            return "it has a revocation that cannot be read.";
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(Revocation))]
internal sealed partial class RevocationJson : JsonSerializerContext;
