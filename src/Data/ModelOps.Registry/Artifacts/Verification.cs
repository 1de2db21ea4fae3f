namespace ModelOps.Registry;

/// <param name="Artifact"><c>name@version</c></param>
/// <param name="Check">One of <see cref="VerificationChecks"/>.</param>
/// <param name="Detail">What was found; for a failed check also which file or key.</param>
public sealed record VerificationCheck(string Artifact, string Check, bool Passed, string Detail);

public static class VerificationChecks
{
    public const string Manifest = "manifest";
    public const string Key = "key";
    public const string Signature = "signature";
    public const string Digest = "digest";
    public const string Content = "content";
    public const string File = "file";

    /// <summary>Only where the artifact was revoked, and then failed.</summary>
    public const string Revocation = "revocation";

    /// <summary>The OpenSSF Model Signing bundle, where there is one.</summary>
    public const string Bundle = "bundle";

    /// <summary>Only where retention removed the files, and then failed.</summary>
    public const string Retention = "retention";
}

/// <summary>Every check of an artifact and of the manifests it descends from.</summary>
public sealed record VerificationReport(string Artifact, IReadOnlyList<VerificationCheck> Checks)
{
    public bool Verified => Checks.All(check => check.Passed);
}

/// <summary>Why an artifact must not be used.</summary>
/// <param name="Artifact">The artifact at fault: the one asked for or one that it descends from.</param>
public sealed record VerificationFailure(string Artifact, string Check, string Detail)
{
    private const string middle = " is refused (";

    public override string ToString() => $"{Artifact}{middle}{Check}): {Detail}";

    /// <summary>The artifact that a text of <see cref="ToString"/> is about: workers tell failures as text. Without one, the text itself.</summary>
    public static string ArtifactOf(string text) =>
        text.IndexOf(middle, StringComparison.Ordinal) is > 0 and var end ? text[..end] : text;
}

/// <summary>A manifest whose signature, trust, digest and rules were checked, and those of all its ancestors.</summary>
public sealed record VerifiedArtifact
{
    internal VerifiedArtifact(ArtifactManifest manifest, string digest, string keyId)
    {
        Manifest = manifest;
        Digest = digest;
        KeyId = keyId;
    }

    public ArtifactManifest Manifest { get; }
    public string Digest { get; }
    public string KeyId { get; }
}

public abstract record ArtifactLoad
{
    private ArtifactLoad()
    {
    }

    public sealed record Verified(VerifiedArtifact Artifact) : ArtifactLoad;

    public sealed record Refused(VerificationFailure Failure) : ArtifactLoad;

    /// <summary>The registry lists no such artifact.</summary>
    public sealed record NotFound(string Reference) : ArtifactLoad;
}
