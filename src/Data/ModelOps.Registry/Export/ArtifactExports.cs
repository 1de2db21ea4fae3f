using System.Text.Json.Nodes;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Everything that proves an artifact elsewhere, except its files.</summary>
/// <param name="Envelope">The signed manifest as stored: DSSE, JSON.</param>
/// <param name="Bundle">The OMS bundle as stored; null when there is none.</param>
/// <param name="Parents">The signed manifests of all ancestors, nearest first.</param>
/// <param name="PublicKeys">The keys that signed them, the artifact's own first.</param>
/// <param name="Bom">CycloneDX 1.6.</param>
public sealed record ArtifactPackage(
    ArtifactManifest Manifest,
    string Digest,
    byte[] Envelope,
    byte[]? Bundle,
    IReadOnlyList<byte[]> Parents,
    IReadOnlyList<PublicKeys> PublicKeys,
    JsonObject Bom);

public abstract record ArtifactExport
{
    private ArtifactExport()
    {
    }

    public sealed record Exported(ArtifactPackage Package) : ArtifactExport;

    public sealed record Refused(VerificationFailure Failure) : ArtifactExport;

    public sealed record NotFound(string Reference) : ArtifactExport;
}

/// <summary>Packs artifacts for others, each verified to the last byte before.</summary>
public sealed class ArtifactExports(ArtifactRegistry registry, IObjectStore objects, TrustedKeys trusted)
{
    private readonly ArtifactReader reader = new(objects, trusted);

    public async Task<ArtifactExport> ExportAsync(string reference, CancellationToken cancellationToken = default)
    {
        if (await registry.GetAsync(reference, cancellationToken).ConfigureAwait(false) is not { Manifest: var listed, Digest: var digest })
            return new ArtifactExport.NotFound(reference);
        var report = await reader.VerifyAsync(listed.Name, listed.Version, digest, cancellationToken: cancellationToken).ConfigureAwait(false);
        var (chain, checks) = await reader.InspectChainAsync(listed.Name, listed.Version, digest, cancellationToken).ConfigureAwait(false);
        if (report.Checks.Concat(checks).FirstOrDefault(check => !check.Passed) is { } failed)
            return new ArtifactExport.Refused(new VerificationFailure(failed.Artifact, failed.Check, failed.Detail));

        var envelopes = await reader.EnvelopesAsync(chain, cancellationToken).ConfigureAwait(false);
        var keys = chain.Select(artifact => artifact.KeyId).Distinct().Select(id => trusted.Find(id)?.Public).OfType<PublicKeys>();
        return new ArtifactExport.Exported(new ArtifactPackage(
            listed,
            digest,
            envelopes[0].Envelope,
            await reader.BundleAsync(listed, cancellationToken).ConfigureAwait(false),
            [.. envelopes.Skip(1).Select(parent => parent.Envelope)],
            [.. keys],
            MlBom.Create(chain)));
    }
}
