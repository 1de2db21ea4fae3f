using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Loads artifacts by their signed manifests alone, without the metadata database. Every consumer goes through it.</summary>
/// <param name="remembered">Local files whose digest is known; null begins with none and is forgotten with the reader.</param>
public sealed class ArtifactReader(IObjectStore objects, TrustedKeys keys, VerifiedFiles? remembered = null)
{
    private const int maxManifestSize = 16 << 20; // bytes; manifests list files, they don't hold them

    private readonly ArtifactFiles files = new(objects, remembered ?? new VerifiedFiles());

    /// <summary>Verifies the manifest and those of all its ancestors. Files are verified by <see cref="MaterializeAsync"/>.</summary>
    /// <param name="expectedDigest">The digest that the artifact is pinned to; null accepts what is stored.</param>
    /// <returns>Verified or Refused.</returns>
    public async Task<ArtifactLoad> LoadAsync(
        string name, string version, string? expectedDigest = null, CancellationToken cancellationToken = default)
    {
        var (chain, checks) = await InspectChainAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false);
        return checks.FirstOrDefault(check => !check.Passed) is { } failed
            ? new ArtifactLoad.Refused(new VerificationFailure(failed.Artifact, failed.Check, failed.Detail))
            : new ArtifactLoad.Verified(chain[0]);
    }

    /// <summary>Runs the checks of the manifest and the manifests of all ancestors, none of files.</summary>
    public async Task<VerificationReport> VerifyManifestsAsync(
        string name, string version, string? expectedDigest = null, CancellationToken cancellationToken = default) =>
        new($"{name}@{version}", (await InspectChainAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false)).Checks);

    /// <summary>Runs every check: manifest, OMS bundle, every byte of every file, and the manifests of all ancestors.</summary>
    /// <param name="deep">
    /// Also every byte of the ancestors' files. They prove nothing about this artifact's own bytes; an artifact that was imported has its
    /// ancestors' manifests here, not their files.
    /// </param>
    public async Task<VerificationReport> VerifyAsync(
        string name, string version, string? expectedDigest = null, bool deep = false, CancellationToken cancellationToken = default)
    {
        var (chain, checks) = await InspectChainAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false);
        foreach (var artifact in chain.Where(artifact => deep || artifact.Manifest.Reference == $"{name}@{version}"))
        {
            if (await CheckBundleAsync(artifact.Manifest, cancellationToken).ConfigureAwait(false) is { } bundle)
                checks.Add(bundle);
            checks.AddRange(await files.VerifyAsync(artifact.Manifest, cancellationToken).ConfigureAwait(false));
        }
        return new VerificationReport($"{name}@{version}", checks);
    }

    /// <summary>
    /// Lays the files out in a folder: all of them, each with the digest in the manifest, or none. A folder that holds exactly that
    /// already is used again. Files are hard links into the store where possible: read them, never write them.
    /// </summary>
    public Task<Materialization> MaterializeAsync(
        VerifiedArtifact artifact, string folder, FileChecks checks, CancellationToken cancellationToken = default) =>
        files.MaterializeAsync(artifact.Manifest, folder, checks, cancellationToken);

    /// <summary>The envelopes of an artifact and all its ancestors, as stored and not verified, nearest first.</summary>
    internal async Task<IReadOnlyList<(string Reference, byte[] Envelope)>> EnvelopesAsync(
        IEnumerable<VerifiedArtifact> chain, CancellationToken cancellationToken)
    {
        var envelopes = new List<(string, byte[])>();
        foreach (var manifest in chain.Select(artifact => artifact.Manifest))
        {
            if (await ReadAsync(SignedManifest.KeyOf(manifest.Name, manifest.Version), cancellationToken).ConfigureAwait(false) is { } stored)
                envelopes.Add((manifest.Reference, stored));
        }
        return envelopes;
    }

    /// <returns>Null when there is none.</returns>
    internal Task<byte[]?> BundleAsync(ArtifactManifest manifest, CancellationToken cancellationToken) =>
        ReadAsync(OmsFormat.KeyOf(manifest.Name, manifest.Version), cancellationToken);

    /// <returns>Those of the chain that verify, the artifact itself first, and every check.</returns>
    internal async Task<(List<VerifiedArtifact> Chain, List<VerificationCheck> Checks)> InspectChainAsync(
        string name, string version, string? expectedDigest, CancellationToken cancellationToken)
    {
        var (artifact, inspected) = await InspectAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false);
        List<VerificationCheck> checks = [.. inspected];
        List<VerifiedArtifact> chain = artifact is null ? [] : [artifact];
        var seen = new HashSet<(string, string)>();
        var ancestors = new Queue<ManifestParent>(artifact?.Manifest.Parents ?? []);
        while (ancestors.TryDequeue(out var parent))
        {
            if (!seen.Add((parent.Artifact, parent.Digest)))
                continue;
            var reference = ArtifactReference.TryParse(parent.Artifact)!; // the manifest's rules were checked
            (var ancestor, inspected) = await InspectAsync(reference.Name, reference.Version!, parent.Digest, cancellationToken)
                .ConfigureAwait(false);
            checks.AddRange(inspected);
            if (ancestor is null)
                continue;
            chain.Add(ancestor);
            foreach (var next in ancestor.Manifest.Parents)
                ancestors.Enqueue(next);
        }
        return (chain, checks);
    }

    /// <returns>Null when there is no bundle: artifacts of older versions have none.</returns>
    private async Task<VerificationCheck?> CheckBundleAsync(ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        var stored = await BundleAsync(manifest, cancellationToken).ConfigureAwait(false);
        var fault = stored is null ? null : OmsFormat.Fault(stored, manifest, keys);
        return stored is null
            ? null
            : new VerificationCheck(manifest.Reference, VerificationChecks.Bundle, fault is null, fault ?? "the OMS bundle is of these files.");
    }

    private async Task<(VerifiedArtifact? Artifact, IReadOnlyList<VerificationCheck> Checks)> InspectAsync(
        string name, string version, string? expectedDigest, CancellationToken cancellationToken)
    {
        try
        {
            var stored = await ReadAsync(SignedManifest.KeyOf(name, version), cancellationToken).ConfigureAwait(false);
            var revocation = await ReadAsync(Revocation.KeyOf(name, version), cancellationToken).ConfigureAwait(false);
            var inspection = ManifestInspection.Run(name, version, stored, revocation, expectedDigest, keys);
            return (inspection.Artifact, inspection.Checks);
        }
        catch (ObjectIntegrityException refused)
        {
            return (null, [new VerificationCheck($"{name}@{version}", VerificationChecks.Manifest, Passed: false, refused.Message)]);
        }
    }

    /// <returns>Null when absent. What is too long is cut, which no signature survives.</returns>
    internal async Task<byte[]?> ReadAsync(string key, CancellationToken cancellationToken)
    {
        var stream = await objects.OpenReadAsync(key, length: maxManifestSize, cancellationToken: cancellationToken).ConfigureAwait(false);
        if (stream is null)
            return null;
        await using (stream.ConfigureAwait(false))
        {
            using var bytes = new MemoryStream();
            await stream.CopyToAsync(bytes, cancellationToken).ConfigureAwait(false);
            return bytes.ToArray();
        }
    }
}
