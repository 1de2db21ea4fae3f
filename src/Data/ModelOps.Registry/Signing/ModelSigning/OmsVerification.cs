using System.Security.Cryptography.X509Certificates;

namespace ModelOps.Registry;

/// <summary>Whose bundles are believed.</summary>
public sealed record OmsTrust
{
    /// <summary>Method <c>key</c>: the PEM of the public key that a hint names; null when it is not trusted.</summary>
    public Func<string, string?> FindKey { get; init; } = _ => null;

    /// <summary>Methods <c>certificate</c> and <c>sigstore</c>: the authorities whose certificates are believed.</summary>
    public IReadOnlyList<X509Certificate2> Authorities { get; init; } = [];

    /// <summary>Method <c>certificate</c>: when the leaf must be valid.</summary>
    public required DateTimeOffset Now { get; init; }
}

/// <summary>What was found in an OpenSSF Model Signing bundle.</summary>
/// <param name="Method"><c>key</c>, <c>certificate</c> or <c>sigstore</c>; null when the bundle has no readable material.</param>
/// <param name="Faults">Every reason to refuse it.</param>
/// <param name="Unchecked">What could not be checked here, for want of an online service or its keys; never silently passed.</param>
/// <param name="Files">SHA-256 by path, as signed; empty when there is a fault.</param>
public sealed record OmsVerification(
    string? Method, IReadOnlyList<string> Faults, IReadOnlyList<string> Unchecked, IReadOnlyDictionary<string, string> Files)
{
    /// <summary>Nothing is wrong and nothing was left unchecked.</summary>
    public bool Verified => Faults.Count == 0 && Unchecked.Count == 0;
}
