using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ModelOps.Registry;

/// <summary>What a Rekor log entry proves without the log's key: that it is about this signature, and in a tree with this root.</summary>
internal static class RekorEntry
{
    public static void Check(OmsLogEntry entry, OmsEnvelope envelope, byte[] certificate, List<string> faults)
    {
        if (entry is not { CanonicalizedBody: { } body, InclusionProof: { } proof })
        {
            faults.Add("tlogEntries: an entry has no body or no inclusion proof.");
            return;
        }
        if (!IsIncluded(body, proof))
            faults.Add("tlogEntries: the inclusion proof does not lead from the entry to the root of the log.");
        if (proof.Checkpoint is { } checkpoint && !IsOf(checkpoint, proof))
            faults.Add("tlogEntries: the checkpoint is of another tree than the inclusion proof.");
        if (BodyFault(body, envelope, certificate) is { } fault)
            faults.Add($"tlogEntries: {fault}");
    }

    /// <summary>RFC 9162, 2.1.3.2.</summary>
    private static bool IsIncluded(byte[] body, OmsInclusionProof proof)
    {
        if (!ulong.TryParse(proof.LogIndex, out var index) || !ulong.TryParse(proof.TreeSize, out var size) || index >= size)
            return false;
        var hash = SHA256.HashData([0, .. body]);
        var (node, last) = (index, size - 1);
        foreach (var sibling in proof.Hashes)
        {
            if (last == 0)
                return false;
            if (node % 2 == 1 || node == last)
            {
                hash = SHA256.HashData([1, .. sibling, .. hash]);
                while (node % 2 == 0 && node != 0)
                    (node, last) = (node >> 1, last >> 1);
            }
            else
            {
                hash = SHA256.HashData([1, .. hash, .. sibling]);
            }
            (node, last) = (node >> 1, last >> 1);
        }
        return last == 0 && hash.AsSpan().SequenceEqual(proof.RootHash);
    }

    /// <summary>A checkpoint's text is origin, size, root in base64, each on a line.</summary>
    private static bool IsOf(OmsCheckpoint checkpoint, OmsInclusionProof proof) =>
        checkpoint.Envelope.Split('\n') is [_, var size, var root, ..]
        && size == proof.TreeSize
        && root == Convert.ToBase64String(proof.RootHash);

    /// <summary>The body of kind dsse 0.0.1 names payload, signature and certificate.</summary>
    private static string? BodyFault(byte[] body, OmsEnvelope envelope, byte[] certificate)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var root = document.RootElement;
            if (root.GetProperty("kind").GetString() != "dsse")
                return $"an entry of kind '{root.GetProperty("kind").GetString()}' is not about a DSSE envelope.";
            var spec = root.GetProperty("spec");
            var payload = spec.GetProperty("payloadHash").GetProperty("value").GetString();
            var signature = spec.GetProperty("signatures")[0];
            var verifier = Encoding.UTF8.GetString(signature.GetProperty("verifier").GetBytesFromBase64());
            if (payload != Convert.ToHexStringLower(SHA256.HashData(envelope.Payload)))
                return "the entry is about another payload.";
            if (!signature.GetProperty("signature").GetBytesFromBase64().AsSpan().SequenceEqual(envelope.Signatures[0].Sig))
                return "the entry is about another signature.";
            return PublicKeys.Blocks(verifier, "CERTIFICATE").FirstOrDefault() is { } logged && logged.AsSpan().SequenceEqual(certificate)
                ? null
                : "the entry is about another certificate.";
        }
        catch (Exception broken) when (broken is JsonException or KeyNotFoundException or InvalidOperationException or FormatException
            or IndexOutOfRangeException or ArgumentException)
        {
            return $"the entry's body cannot be read: {broken.Message}";
        }
    }
}
