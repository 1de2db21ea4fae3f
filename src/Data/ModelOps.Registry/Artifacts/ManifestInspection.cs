using System.Text.Json;

namespace ModelOps.Registry;

/// <summary>The checks of one stored manifest, in order; pure. A failed check ends it, as later ones would prove nothing.</summary>
internal sealed class ManifestInspection
{
    private readonly List<VerificationCheck> checks = [];
    private readonly string reference;

    private ManifestInspection(string reference) => this.reference = reference;

    public IReadOnlyList<VerificationCheck> Checks => checks;

    /// <summary>Null when a check failed.</summary>
    public VerifiedArtifact? Artifact { get; private set; }

    /// <param name="stored">The bytes of the envelope; null when there are none.</param>
    /// <param name="revocation">The bytes of its revocation; null when it was not revoked.</param>
    public static ManifestInspection Run(
        string name, string version, byte[]? stored, byte[]? revocation, string? expectedDigest, TrustedKeys keys)
    {
        var inspection = new ManifestInspection($"{name}@{version}");
        inspection.Artifact = inspection.Inspect(name, version, stored, expectedDigest, keys);
        if (revocation is not null)
            inspection.Artifact = inspection.Fail(VerificationChecks.Revocation, Revocation.Describe(revocation, inspection.reference, keys));
        return inspection;
    }

    private VerifiedArtifact? Inspect(string name, string version, byte[]? stored, string? expectedDigest, TrustedKeys keys)
    {
        var key = SignedManifest.KeyOf(name, version);
        if (stored is null)
            return Fail(VerificationChecks.Manifest, $"there is no object {key}.");
        if (!SignedManifest.TryParse(stored, out var signed, out var fault))
            return Fail(VerificationChecks.Manifest, $"{key} cannot be read: {fault}.");

        var signature = signed.Verify(keys);
        if (signature == SignatureCheck.UntrustedKey)
            return Fail(
                VerificationChecks.Key, $"the key {signed.KeyId} is not trusted. An administrator can add its public key: modelops signing trust FILE.");
        if (signature == SignatureCheck.RevokedKey)
            return Fail(VerificationChecks.Key, $"the key {signed.KeyId} was revoked: {keys.Find(signed.KeyId)?.Revocation?.Reason}");
        Pass(VerificationChecks.Key, $"{signed.KeyId} is trusted.");
        if (signature != SignatureCheck.Valid)
            return Fail(
                VerificationChecks.Signature, $"the signature by the key {signed.KeyId} does not match {key}: one of them was changed.");
        Pass(VerificationChecks.Signature, $"signed by {signed.KeyId}.");

        var digest = signed.Digest;
        if (expectedDigest is not null && digest != expectedDigest)
            return Fail(VerificationChecks.Digest, $"the manifest has the digest {digest}; {expectedDigest} was recorded.");
        Pass(VerificationChecks.Digest, digest);

        var (manifest, faults) = Read(name, version, signed);
        if (manifest is null)
            return Fail(VerificationChecks.Content, string.Join(" ", faults));
        Pass(VerificationChecks.Content, $"{manifest.Kind} of {manifest.Files.Count} files.");
        return new VerifiedArtifact(manifest, digest, signed.KeyId);
    }

    private static (ArtifactManifest? Manifest, IReadOnlyList<string> Faults) Read(string name, string version, SignedManifest signed)
    {
        try
        {
            if (JsonSerializer.Deserialize(signed.Payload.Span, ManifestJson.Default.ArtifactManifest) is not { } manifest)
                return (null, ["the manifest is null."]);
            var faults = ManifestRules.Check(manifest);
            if (faults.Count == 0 && (manifest.Name != name || manifest.Version != version))
                faults = [$"it is the manifest of {manifest.Reference}."]; // a signed manifest under another artifact's key
            return (faults.Count == 0 ? manifest : null, faults);
        }
        catch (JsonException broken)
        {
            return (null, [broken.Message]);
        }
    }

    private void Pass(string check, string detail) => checks.Add(new VerificationCheck(reference, check, Passed: true, detail));

    private VerifiedArtifact? Fail(string check, string detail)
    {
        checks.Add(new VerificationCheck(reference, check, Passed: false, detail));
        return null;
    }
}
