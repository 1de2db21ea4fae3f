using System.Text.Json;

namespace ModelOps.Client;

/// <summary>An artifact for others, without its files: those are blobs.</summary>
public sealed record PackagedArtifact
{
    /// <summary><c>name@version</c>.</summary>
    public required string Artifact { get; init; }
    public required string Digest { get; init; }
    /// <summary>The signed manifest: a DSSE envelope, JSON.</summary>
    public required byte[] Manifest { get; init; }
    /// <summary>The OpenSSF Model Signing bundle; null when there is none.</summary>
    public byte[]? Bundle { get; init; }
    /// <summary>The signed manifests of all ancestors, nearest first.</summary>
    public required IReadOnlyList<byte[]> Parents { get; init; }
    /// <summary>The keys that signed, the artifact's own first.</summary>
    public required IReadOnlyList<PackageKey> PublicKeys { get; init; }
    /// <summary>CycloneDX 1.6.</summary>
    public required JsonElement Bom { get; init; }
}

/// <param name="Manifests">PEM of the Ed25519 key.</param>
/// <param name="Bundles">PEM of the ECDSA key; null when there is none.</param>
public sealed record PackageKey(string KeyId, string Fingerprint, string Manifests, string? Bundles);

/// <summary>Registers an artifact that another server signed; its files are uploaded as blobs before.</summary>
public sealed record ImportArtifact
{
    /// <summary>The signed manifest: a DSSE envelope, JSON.</summary>
    public required byte[] Manifest { get; init; }
    public byte[]? Bundle { get; init; }
    /// <summary>The signed manifests of its ancestors.</summary>
    public IReadOnlyList<byte[]> Parents { get; set; } = [];
    /// <summary>PEM of the keys that signed; believed only with <see cref="Trust"/>.</summary>
    public IReadOnlyList<string> PublicKeys { get; set; } = [];
    /// <summary>Believe the keys that signed from now on; for admins.</summary>
    public bool Trust { get; init; }
    /// <summary>Check everything but the files, and register nothing.</summary>
    public bool CheckOnly { get; init; }
}

public sealed record ImportResult
{
    /// <summary><c>name@version</c>.</summary>
    public required string Artifact { get; init; }
    public required string Digest { get; init; }
    /// <summary><c>checked</c>, <c>imported</c>, or <c>unchanged</c>: it was here already.</summary>
    public required string Outcome { get; init; }
    /// <summary>SHA-256 of the files that the server does not have.</summary>
    public required IReadOnlyList<string> Missing { get; init; }
}
