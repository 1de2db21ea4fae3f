using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>What must hold of a manifest before it is signed: its own rules, stored files, and listed parents.</summary>
internal sealed class DraftRules(IDbContextFactory<MetadataContext> contexts, BlobUses blobs)
{
    /// <returns>Every fault found.</returns>
    public async Task<IReadOnlyList<string>> CheckAsync(ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        var errors = new List<string>(ManifestRules.Check(manifest));
        await CheckFilesAsync(manifest.Files, errors, cancellationToken).ConfigureAwait(false);
        await CheckParentsAsync(manifest.Parents, errors, cancellationToken).ConfigureAwait(false);
        return errors;
    }

    private async Task CheckFilesAsync(IReadOnlyList<ManifestFile> files, List<string> errors, CancellationToken cancellationToken)
    {
        var named = files.Where(file => ManifestRules.IsDigest(file.Sha256)).ToList();
        var stored = await blobs.ClaimAsync([.. named.Select(file => file.Sha256)], cancellationToken).ConfigureAwait(false);
        foreach (var file in named)
        {
            if (!stored.TryGetValue(file.Sha256, out var size))
                errors.Add($"file '{file.Path}': there is no blob {file.Sha256}; upload it first.");
            else if (size != file.Size)
                errors.Add($"file '{file.Path}': size {file.Size} is wrong, the blob has {size} bytes.");
        }
    }

    private async Task CheckParentsAsync(IReadOnlyList<ManifestParent> parents, List<string> errors, CancellationToken cancellationToken)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        foreach (var parent in parents)
        {
            if (ArtifactReference.TryParse(parent.Artifact) is not { Version: not null })
                continue; // the manifest's rules have said so
            var listed = await ArtifactRegistry.FindAsync(context, parent.Artifact, cancellationToken).ConfigureAwait(false);
            if (listed is null)
                errors.Add($"parent '{parent.Artifact}': there is no such artifact.");
            else if (listed.Digest != parent.Digest)
                errors.Add($"parent '{parent.Artifact}': digest {parent.Digest} is wrong, it is {listed.Digest}.");
        }
    }
}
