using System.Text;
using System.Text.Json.Serialization;

namespace ModelOps.Registry;

/// <summary>DSSE v1 (github.com/secure-systems-lab/dsse).</summary>
internal static class Dsse
{
    /// <summary>What is signed, the pre-authentication encoding: <c>DSSEv1 LEN(type) type LEN(payload) payload</c>.</summary>
    public static byte[] Message(string payloadType, ReadOnlySpan<byte> payload)
    {
        var header = Encoding.UTF8.GetBytes($"DSSEv1 {Encoding.UTF8.GetByteCount(payloadType)} {payloadType} {payload.Length} ");
        return [.. header, .. payload];
    }
}

internal sealed record DsseEnvelope(
    [property: JsonPropertyName("payloadType")] string PayloadType,
    [property: JsonPropertyName("payload")] byte[] Payload,
    [property: JsonPropertyName("signatures")] IReadOnlyList<DsseSignature> Signatures);

internal sealed record DsseSignature(
    [property: JsonPropertyName("keyid")] string KeyId,
    [property: JsonPropertyName("sig")] byte[] Signature);
