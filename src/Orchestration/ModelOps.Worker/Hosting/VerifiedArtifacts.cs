using ModelOps.Registry;
using ModelOps.Workflows;

namespace ModelOps.Worker.Hosting;

/// <summary>Artifacts as folders, each verified before anything reads it.</summary>
public sealed class VerifiedArtifacts(ArtifactReader reader, WorkerOptions options)
{
    /// <returns>A folder with the artifact's files; its files may be read, never written.</returns>
    /// <exception cref="ActivityException">Signature, trust, manifest or a file does not verify; the message names it.</exception>
    public async Task<string> FolderAsync(PinnedArtifact artifact, FileChecks checks, CancellationToken cancellationToken) =>
        (await OpenAsync(artifact, checks, cancellationToken)).Folder;

    /// <inheritdoc cref="FolderAsync"/>
    public async Task<(ArtifactManifest Manifest, string Folder)> OpenAsync(PinnedArtifact artifact, FileChecks checks, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(options.Cache, artifact.Digest);
        var loaded = await reader.LoadAsync(artifact.Name, artifact.Version, artifact.Digest, cancellationToken);
        if (loaded is not ArtifactLoad.Verified verified) throw Refused(loaded is ArtifactLoad.Refused refused ? refused.Failure : null, artifact);
        return await reader.MaterializeAsync(verified.Artifact, folder, checks, cancellationToken) switch
        {
            Materialization.Ready ready => (verified.Artifact.Manifest, ready.Folder),
            Materialization.Refused tampered => throw Refused(tampered.Failure, artifact),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private static ActivityException Refused(VerificationFailure? failure, PinnedArtifact artifact) =>
        new(ActivityFailures.VerificationFailed, failure?.ToString() ?? $"{artifact} is not in the store");
}
