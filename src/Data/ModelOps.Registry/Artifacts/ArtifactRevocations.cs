using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>Takes artifacts out of use for good: they and everything made from them are refused from now on.</summary>
public sealed class ArtifactRevocations(
    ArtifactRegistry registry, IObjectStore objects, SigningKey key, AuditLog audit, TimeProvider time)
{
    private const int maxReason = 512;

    public async Task<RevokeArtifact> RevokeAsync(
        string reference, string reason, string by, CancellationToken cancellationToken = default)
    {
        if (string.IsNullOrWhiteSpace(reason) || reason.Length > maxReason)
            return new RevokeArtifact.Invalid($"reason: say why, in 1 to {maxReason} characters.");
        if (await registry.GetAsync(reference, cancellationToken).ConfigureAwait(false) is not { Manifest: var manifest, Digest: var digest })
            return new RevokeArtifact.NotFound(reference);
        var revocation = new Revocation(manifest.Reference, digest, reason, by, time.GetUtcNow());
        using var content = new MemoryStream(revocation.Sign(key));
        var stored = await objects
            .PutAsync(Revocation.KeyOf(manifest.Name, manifest.Version), content, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false);
        if (stored)
        {
            var detail = new JsonObject { ["digest"] = digest, ["reason"] = reason };
            await audit.AppendAsync(
                by, "artifact.revoked", manifest.Reference, JsonElement.Parse(detail.ToJsonString()), cancellationToken).ConfigureAwait(false);
        }
        return new RevokeArtifact.Revoked(manifest.Reference);
    }
}

public abstract record RevokeArtifact
{
    private RevokeArtifact()
    {
    }

    /// <summary>Now or before; the first reason stays.</summary>
    public sealed record Revoked(string Reference) : RevokeArtifact;

    public sealed record NotFound(string Reference) : RevokeArtifact;

    public sealed record Invalid(string Error) : RevokeArtifact;
}
