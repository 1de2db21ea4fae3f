namespace ModelOps.Client;

/// <summary>A key whose signatures are believed, or were until it was revoked.</summary>
public sealed record SigningKeyInfo
{
    public required string KeyId { get; init; }
    /// <summary>SHA-256 of the raw Ed25519 public key, hex: compare it with the signer's own.</summary>
    public required string Fingerprint { get; init; }
    /// <summary>PEM: Ed25519 and, where known, the ECDSA key of OpenSSF bundles.</summary>
    public required string PublicKey { get; init; }
    /// <summary>This server signs with it now.</summary>
    public required bool Current { get; init; }
    /// <summary>Whose key it is; null for the server's own.</summary>
    public string? Name { get; init; }
    public string? AddedBy { get; init; }
    public DateTimeOffset? AddedAt { get; init; }
    /// <summary>Why nothing that it signed may be used; null while it is believed.</summary>
    public string? RevokedReason { get; init; }
    public string? RevokedBy { get; init; }
    public DateTimeOffset? RevokedAt { get; init; }
}

/// <param name="PublicKey">PEM.</param>
/// <param name="Name">Whose key it is.</param>
public sealed record TrustSigningKey(string PublicKey, string Name);

/// <summary>Why a key or an artifact is revoked.</summary>
public sealed record RevocationReason(string Reason);
