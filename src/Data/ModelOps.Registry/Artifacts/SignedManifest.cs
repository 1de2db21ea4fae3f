using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using NSec.Cryptography;

namespace ModelOps.Registry;

/// <summary>A manifest as it is stored: a DSSE v1 envelope (github.com/secure-systems-lab/dsse) with one Ed25519 signature.</summary>
/// <param name="Payload">The canonical bytes of the manifest.</param>
/// <param name="Signature">64 bytes over the envelope's pre-authentication encoding, which binds the payload to its type.</param>
public sealed record SignedManifest(ReadOnlyMemory<byte> Payload, string KeyId, ReadOnlyMemory<byte> Signature)
{
    public const string PayloadType = "application/vnd.modelops.manifest.v1+json";

    /// <summary>SHA-256 of the payload, hex: what others pin this artifact to.</summary>
    public string Digest => ManifestDigest.Of(Payload.Span);

    public static SignedManifest Sign(ArtifactManifest manifest, SigningKey key)
    {
        var payload = manifest.ToCanonicalBytes();
        var pair = key.Current;
        return new SignedManifest(payload, pair.Public.KeyId, pair.Sign(Message(payload)));
    }

    /// <summary>Where the manifest of an artifact is stored.</summary>
    public static string KeyOf(string name, string version) => $"artifacts/manifests/{name}/{version}.json";

    /// <param name="fault">What is wrong with the bytes.</param>
    public static bool TryParse(
        ReadOnlySpan<byte> json, [NotNullWhen(true)] out SignedManifest? manifest, [NotNullWhen(false)] out string? fault)
    {
        manifest = null;
        try
        {
            var envelope = JsonSerializer.Deserialize(json, ManifestJson.Default.DsseEnvelope);
            fault = envelope switch
            {
                null => "it is null",
                { PayloadType: not PayloadType } => $"its payload type is '{envelope.PayloadType}', not '{PayloadType}'",
                { Signatures.Count: not 1 } => $"it has {envelope.Signatures.Count} signatures, not one",
                _ => null,
            };
            if (fault is not null)
                return false;
            manifest = new SignedManifest(envelope!.Payload, envelope.Signatures[0].KeyId, envelope.Signatures[0].Signature);
            return true;
        }
        catch (JsonException broken)
        {
            fault = $"it is not a DSSE envelope: {broken.Message}";
            return false;
        }
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(
        new DsseEnvelope(PayloadType, Payload.ToArray(), [new DsseSignature(KeyId, Signature.ToArray())]),
        ManifestJson.Default.DsseEnvelope);

    public SignatureCheck Verify(TrustedKeys keys) => keys.Verify(KeyId, Message(Payload.Span), Signature.Span);

    /// <summary>Whether this key made the signature, trusted or not.</summary>
    internal bool IsSignedBy(PublicKeys key) =>
        SignatureAlgorithm.Ed25519.Verify(key.Manifests, Message(Payload.Span), Signature.Span);

    private static byte[] Message(ReadOnlySpan<byte> payload) => Dsse.Message(PayloadType, payload);
}
