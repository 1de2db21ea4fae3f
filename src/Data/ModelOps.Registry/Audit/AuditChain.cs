using System.Security.Cryptography;
using System.Text.Json.Serialization;

namespace ModelOps.Registry;

/// <summary>The hashes that tie each audit row to all rows before it; pure.</summary>
internal static class AuditChain
{
    /// <summary>Stands before the first row.</summary>
    public static readonly string Start = new('0', 64);

    public static string Hash(AuditRow row, string previousHash)
    {
        var link = new AuditLink(
            row.Sequence, row.At.ToUnixTimeMilliseconds(), row.Actor, row.Action, row.Subject, row.Detail, previousHash);
        return Convert.ToHexStringLower(SHA256.HashData(CanonicalJson.Serialize(link, AuditJson.Default.AuditLink)));
    }

    /// <returns>What is wrong with the row; null when it follows <paramref name="previous"/>.</returns>
    public static string? Fault(AuditRow row, AuditHead previous)
    {
        if (row.Sequence != previous.Sequence + 1)
            return $"the row {previous.Sequence + 1} is missing.";
        return Hash(row, previous.Hash) == row.Hash ? null : $"the row {row.Sequence} ('{row.Action}' of {row.Subject}) was changed.";
    }
}

/// <summary>The last row of an audit chain. Who notes it elsewhere can show later that no row before it was changed or removed.</summary>
public sealed record AuditHead(long Sequence, string Hash);

internal sealed record AuditLink(long Sequence, long At, string Actor, string Action, string Subject, string Detail, string PreviousHash);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(AuditLink))]
[JsonSerializable(typeof(KeyDetail))]
[JsonSerializable(typeof(SessionDetail))]
internal sealed partial class AuditJson : JsonSerializerContext;
