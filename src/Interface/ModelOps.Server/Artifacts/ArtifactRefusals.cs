using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Registry;

namespace ModelOps.Server.Artifacts;

/// <summary>Writes into the audit log that an artifact was not to be used, and why.</summary>
public sealed class ArtifactRefusals(AuditLog audit)
{
    /// <param name="use">What it was wanted for: deploy, export, import, or the kind of job.</param>
    /// <param name="reason">The failure as told: it begins with the artifact at fault.</param>
    public Task RecordAsync(string actor, string use, string reason, CancellationToken cancellationToken)
    {
        var detail = new JsonObject { ["use"] = use, ["reason"] = reason };
        return audit.AppendAsync(
            actor, "artifact.refused", VerificationFailure.ArtifactOf(reason), JsonElement.Parse(detail.ToJsonString()), cancellationToken);
    }
}
