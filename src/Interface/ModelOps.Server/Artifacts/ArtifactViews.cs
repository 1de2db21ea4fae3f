using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Artifacts;

/// <summary>One artifact with all that is known of it beside its manifest.</summary>
public sealed class ArtifactViews(ArtifactRegistry registry, ArtifactLifecycle lifecycle, ArtifactAliases aliases)
{
    /// <returns>Null when there is none.</returns>
    public async Task<Artifact?> GetAsync(string reference, CancellationToken cancellationToken)
    {
        if (await registry.GetAsync(reference, cancellationToken) is not { } entry) return null;
        var approvals = await lifecycle.ApprovalsAsync(entry.Manifest.Reference, cancellationToken);
        var ofName = await aliases.ListAsync(entry.Manifest.Name, cancellationToken);
        return ArtifactEndpoints.ToWire(entry) with
        {
            Approvals = [.. approvals.Select(ToWire)],
            Aliases = [.. ofName.Where(alias => alias.Version == entry.Manifest.Version).Select(alias => alias.Alias)],
        };
    }

    public static Client.Approval ToWire(Registry.Approval approval) =>
        new(approval.Artifact, approval.Stage, approval.By, approval.Approved, approval.Comment, approval.At);
}
