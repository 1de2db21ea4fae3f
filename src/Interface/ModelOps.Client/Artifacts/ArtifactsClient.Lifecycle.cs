using System.Text.Json;

namespace ModelOps.Client;

/// <summary>Stages, aliases, origin and retention.</summary>
public sealed partial class ArtifactsClient
{
    private const string RetentionPath = "api/v1/artifacts/prune";

    /// <summary>Moves the artifact one stage up when every gate is met; its files are verified anew.</summary>
    /// <param name="stage">STAGING or PRODUCTION.</param>
    /// <exception cref="ModelOpsException">Gates that are not met, all of them; or a move that does not exist.</exception>
    public Task<Artifact> PromoteAsync(string reference, string stage, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            PathOf(reference) + "/promote", new PromoteArtifact(stage), WireJson.Default.PromoteArtifact, WireJson.Default.Artifact, cancellationToken);

    public Task<Artifact> ApproveAsync(
        string reference, string stage, string? comment = null, CancellationToken cancellationToken = default) =>
        JudgeAsync(reference, "/approve", new JudgeArtifact(stage, comment), cancellationToken);

    public Task<Artifact> RejectAsync(
        string reference, string stage, string? comment = null, CancellationToken cancellationToken = default) =>
        JudgeAsync(reference, "/reject", new JudgeArtifact(stage, comment), cancellationToken);

    /// <summary>Takes the artifact out of use; manifest and history stay.</summary>
    /// <exception cref="ModelOpsException">It is archived already, or an alias points to it.</exception>
    public Task<Artifact> ArchiveAsync(string reference, CancellationToken cancellationToken = default) =>
        connection.PostAsync(PathOf(reference) + "/archive", WireJson.Default.Artifact, cancellationToken);

    /// <summary>Deletes a version that nothing depends on; its files go soon after, its number is never given again.</summary>
    /// <param name="reference"><c>name@version</c></param>
    /// <exception cref="ModelOpsException">Something depends on it: the problem's errors name all that does.</exception>
    public Task DeleteAsync(string reference, CancellationToken cancellationToken = default) => connection.DeleteAsync(PathOf(reference), cancellationToken);

    /// <summary>Verdicts on promotions, newest first.</summary>
    /// <param name="reference">Null: on all artifacts.</param>
    public async Task<IReadOnlyList<Approval>> ListApprovalsAsync(string? reference = null, CancellationToken cancellationToken = default)
    {
        var path = reference is null ? "api/v1/approvals" : $"api/v1/approvals?artifact={Uri.EscapeDataString(reference)}";
        return (await connection.GetAsync(path, WireJson.Default.PageApproval, cancellationToken).ConfigureAwait(false)).Items;
    }

    /// <param name="direction">upstream (what it was made from), downstream (what was made of it) or both.</param>
    public Task<LineageGraph> GetLineageAsync(
        string reference, string direction = "upstream", CancellationToken cancellationToken = default) =>
        connection.GetAsync(LineagePath(reference, direction), WireJson.Default.LineageGraph, cancellationToken);

    /// <summary>The runs behind the artifact as a list of OpenLineage events (spec 2-0-2).</summary>
    public Task<JsonElement> GetOpenLineageAsync(
        string reference, string direction = "upstream", CancellationToken cancellationToken = default) =>
        connection.GetAsync(LineagePath(reference, direction) + "&format=openlineage", WireJson.Default.JsonElement, cancellationToken);

    /// <summary>Points an alias to a version, atomically.</summary>
    /// <param name="ifIs">Only if it points to this version now; empty: only if there is no such alias; null: whatever it is.</param>
    /// <exception cref="ModelOpsException">No such version, an archived one, or the alias is not <paramref name="ifIs"/>.</exception>
    public Task<Artifact> SetAliasAsync(
        string name, string alias, string version, string? ifIs = null, CancellationToken cancellationToken = default) =>
        connection.PutAsync(
            AliasPath(name, alias), new MoveAlias(version, ifIs), WireJson.Default.MoveAlias, WireJson.Default.Artifact, cancellationToken);

    /// <param name="ifIs">Only if it points to this version now; null: whatever it is.</param>
    public Task RemoveAliasAsync(string name, string alias, string? ifIs = null, CancellationToken cancellationToken = default) =>
        connection.DeleteAsync(
            ifIs is null ? AliasPath(name, alias) : $"{AliasPath(name, alias)}?if_is={Uri.EscapeDataString(ifIs)}", cancellationToken);

    public async Task<IReadOnlyList<Alias>> ListAliasesAsync(string name, CancellationToken cancellationToken = default) =>
        (await connection.GetAsync(PathOf(name) + "/aliases", WireJson.Default.PageAlias, cancellationToken).ConfigureAwait(false)).Items;

    /// <summary>Every move of a name's aliases, oldest first.</summary>
    public async Task<IReadOnlyList<AliasMove>> ListAliasMovesAsync(string name, CancellationToken cancellationToken = default) =>
        (await connection.GetAsync(PathOf(name) + "/alias-moves", WireJson.Default.PageAliasMove, cancellationToken).ConfigureAwait(false)).Items;

    /// <summary>Runs retention now instead of at its daily time.</summary>
    public Task<RetentionRun> PruneAsync(bool dryRun, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            RetentionPath, new RunRetention(dryRun), WireJson.Default.RunRetention, WireJson.Default.RetentionRun, cancellationToken);

    private Task<Artifact> JudgeAsync(string reference, string verdict, JudgeArtifact judge, CancellationToken cancellationToken) =>
        connection.PostAsync(PathOf(reference) + verdict, judge, WireJson.Default.JudgeArtifact, WireJson.Default.Artifact, cancellationToken);

    private static string LineagePath(string reference, string direction) =>
        $"{PathOf(reference)}/lineage?direction={Uri.EscapeDataString(direction)}";

    private static string AliasPath(string name, string alias) => $"{PathOf(name)}/aliases/{ApiPath.Segment(alias)}";
}
