using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Loads artifacts by their signed manifests alone, without the metadata database. Every consumer goes through it.</summary>
public sealed class ArtifactReader(IObjectStore objects, TrustedKeys keys)
{
    private const int maxManifestSize = 16 << 20; // bytes; manifests list files, they don't hold them

    private readonly ArtifactFiles files = new(objects);

    /// <summary>Verifies the manifest and those of all its ancestors. Files are verified by <see cref="MaterializeAsync"/>.</summary>
    /// <param name="expectedDigest">The digest that the artifact is pinned to; null accepts what is stored.</param>
    /// <returns>Verified or Refused.</returns>
    public async Task<ArtifactLoad> LoadAsync(
        string name, string version, string? expectedDigest = null, CancellationToken cancellationToken = default)
    {
        var (artifact, checks) = await InspectChainAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false);
        return checks.FirstOrDefault(check => !check.Passed) is { } failed
            ? new ArtifactLoad.Refused(new VerificationFailure(failed.Artifact, failed.Check, failed.Detail))
            : new ArtifactLoad.Verified(artifact!);
    }

    /// <summary>Runs the checks of the manifest and the manifests of all ancestors, none of files.</summary>
    public async Task<VerificationReport> VerifyManifestsAsync(
        string name, string version, string? expectedDigest = null, CancellationToken cancellationToken = default) =>
        new($"{name}@{version}", (await InspectChainAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false)).Checks);

    /// <summary>Runs every check: manifest, every file, and the manifests of all ancestors.</summary>
    public async Task<VerificationReport> VerifyAsync(
        string name, string version, string? expectedDigest = null, CancellationToken cancellationToken = default)
    {
        var (artifact, checks) = await InspectChainAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false);
        if (artifact is not null)
            checks.AddRange(await files.VerifyAsync(artifact.Manifest, cancellationToken).ConfigureAwait(false));
        return new VerificationReport($"{name}@{version}", checks);
    }

    /// <summary>
    /// Lays the files out in a folder: all of them, each with the digest in the manifest, or none. A folder that holds exactly that
    /// already is used again. Files are hard links into the store where possible: read them, never write them.
    /// </summary>
    public Task<Materialization> MaterializeAsync(
        VerifiedArtifact artifact, string folder, CancellationToken cancellationToken = default) =>
        files.MaterializeAsync(artifact.Manifest, folder, cancellationToken);

    private async Task<(VerifiedArtifact? Artifact, List<VerificationCheck> Checks)> InspectChainAsync(
        string name, string version, string? expectedDigest, CancellationToken cancellationToken)
    {
        var (artifact, inspected) = await InspectAsync(name, version, expectedDigest, cancellationToken).ConfigureAwait(false);
        List<VerificationCheck> checks = [.. inspected];
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
            foreach (var next in ancestor?.Manifest.Parents ?? [])
                ancestors.Enqueue(next);
        }
        return (artifact, checks);
    }

    private async Task<(VerifiedArtifact? Artifact, IReadOnlyList<VerificationCheck> Checks)> InspectAsync(
        string name, string version, string? expectedDigest, CancellationToken cancellationToken)
    {
        var stored = await ReadAsync(SignedManifest.KeyOf(name, version), cancellationToken).ConfigureAwait(false);
        var inspection = ManifestInspection.Run(name, version, stored, expectedDigest, keys);
        return (inspection.Artifact, inspection.Checks);
    }

    /// <returns>Null when absent. What is too long is cut, which no signature survives.</returns>
    private async Task<byte[]?> ReadAsync(string key, CancellationToken cancellationToken)
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
