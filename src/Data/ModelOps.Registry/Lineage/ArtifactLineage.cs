using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>What an artifact was made from and what was made of it. A fixed number of queries, however deep or wide the graph is.</summary>
public sealed class ArtifactLineage(IDbContextFactory<MetadataContext> contexts)
{
    /// <returns>Null when there is no such artifact.</returns>
    public async Task<LineageGraph?> GetAsync(string reference, LineageDirections directions, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        if (await ArtifactRegistry.FindAsync(context, reference, cancellationToken).ConfigureAwait(false) is not { } root)
            return null;
        HashSet<long> above = [root.Id], below = [root.Id];
        if (directions.HasFlag(LineageDirections.Upstream))
            above = await AncestorsAsync(context, root.Id, cancellationToken).ConfigureAwait(false);
        if (directions.HasFlag(LineageDirections.Downstream))
            below = await DescendantsAsync(context, root.Id, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(context, root, above, below, cancellationToken).ConfigureAwait(false);
    }

    // UNION drops rows it has seen: a cycle, which no honest registry has, ends too.

    private static Task<HashSet<long>> AncestorsAsync(MetadataContext context, long id, CancellationToken cancellationToken) =>
        context.Database.SqlQuery<long>(
            $"""
             WITH RECURSIVE above(id) AS (
                 SELECT CAST({id} AS BIGINT) UNION SELECT edge.parent_id FROM artifact_edges edge JOIN above ON edge.artifact_id = above.id)
             SELECT id AS "Value" FROM above
             """).ToHashSetAsync(cancellationToken);

    private static Task<HashSet<long>> DescendantsAsync(MetadataContext context, long id, CancellationToken cancellationToken) =>
        context.Database.SqlQuery<long>(
            $"""
             WITH RECURSIVE below(id) AS (
                 SELECT CAST({id} AS BIGINT) UNION SELECT edge.artifact_id FROM artifact_edges edge JOIN below ON edge.parent_id = below.id)
             SELECT id AS "Value" FROM below
             """).ToHashSetAsync(cancellationToken);

    private static async Task<LineageGraph> ReadAsync(
        MetadataContext context, ArtifactRow root, HashSet<long> above, HashSet<long> below, CancellationToken cancellationToken)
    {
        var ids = above.Union(below).ToList();
        var artifacts = await context.Artifacts.AsNoTracking().Where(row => ids.Contains(row.Id)).OrderBy(row => row.Id)
            .Select(row => new { row.Id, Reference = row.Name + "@" + row.Version, row.Kind, row.Stage, row.Digest, row.CreatedAt })
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        var references = artifacts.ConvertAll(artifact => artifact.Reference);
        var aliases = (await context.Aliases.AsNoTracking().Where(row => ids.Contains(row.ArtifactId)).OrderBy(row => row.Alias)
            .ToListAsync(cancellationToken).ConfigureAwait(false)).ToLookup(row => row.ArtifactId, row => row.Alias);
        var datasets = (await context.DatasetVersions.AsNoTracking().Where(row => references.Contains(row.Artifact))
            .ToListAsync(cancellationToken).ConfigureAwait(false)).ToLookup(row => row.Artifact);
        var edges = await context.ArtifactEdges.AsNoTracking()
            .Where(edge => ids.Contains(edge.ArtifactId) && ids.Contains(edge.ParentId))
            .OrderBy(edge => edge.ArtifactId).ThenBy(edge => edge.Role).ThenBy(edge => edge.ParentId)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        var byId = artifacts.ToDictionary(artifact => artifact.Id, artifact => artifact.Reference);
        return new LineageGraph
        {
            Root = $"{root.Name}@{root.Version}",
            Artifacts =
            [
                .. artifacts.Select(artifact => new LineageArtifact(
                    artifact.Reference, artifact.Kind, artifact.Stage, artifact.Digest, artifact.CreatedAt, [.. aliases[artifact.Id]],
                    datasets[artifact.Reference].FirstOrDefault() is { } version ? $"{version.Dataset}@{version.Version}" : null)),
            ],
            Edges =
            [
                .. edges.Where(edge => IsWithin(above, edge) || IsWithin(below, edge))
                    .Select(edge => new LineageEdge(byId[edge.ParentId], byId[edge.ArtifactId], edge.Role)),
            ],
            Jobs = await context.Jobs.AsNoTracking().Where(job => references.Contains(job.Artifact!)).OrderBy(job => job.Id)
                .Select(job => new LineageJob(job.Id, job.Kind, job.State, job.Artifact!, job.StartedAt ?? job.CreatedAt, job.FinishedAt))
                .ToListAsync(cancellationToken).ConfigureAwait(false),
            Deployments =
            [
                .. await context.Deployments.AsNoTracking().Where(row => references.Contains(row.Artifact)).OrderBy(row => row.Name)
                    .Select(row => new LineageDeployment(row.Name, row.Artifact, row.ManifestDigest, row.CreatedAt))
                    .ToListAsync(cancellationToken).ConfigureAwait(false),
                .. await context.DeploymentAdapters.AsNoTracking().Where(row => references.Contains(row.Artifact))
                    .OrderBy(row => row.Deployment).ThenBy(row => row.Name)
                    .Select(row => new LineageDeployment(row.Deployment + ":" + row.Name, row.Artifact, row.ManifestDigest, row.CreatedAt))
                    .ToListAsync(cancellationToken).ConfigureAwait(false),
            ],
        };
    }

    private static bool IsWithin(HashSet<long> ids, ArtifactEdgeRow edge) => ids.Contains(edge.ArtifactId) && ids.Contains(edge.ParentId);
}

[Flags]
public enum LineageDirections
{
    None = 0,
    /// <summary>What it was made from.</summary>
    Upstream = 1,
    /// <summary>What was made of it.</summary>
    Downstream = 2,
    Both = Upstream | Downstream,
}

/// <summary>Artifacts, what made them and what serves them. Each stands in it once, oldest first.</summary>
public sealed record LineageGraph
{
    /// <summary>The artifact asked for, <c>name@version</c>.</summary>
    public required string Root { get; init; }
    public required IReadOnlyList<LineageArtifact> Artifacts { get; init; }
    public required IReadOnlyList<LineageEdge> Edges { get; init; }
    public required IReadOnlyList<LineageJob> Jobs { get; init; }
    public required IReadOnlyList<LineageDeployment> Deployments { get; init; }
}

/// <param name="Reference">Its name and version as <c>name@version</c>.</param>
/// <param name="DatasetVersion">The dataset version that it proves, <c>name@version</c>; null for another kind.</param>
public sealed record LineageArtifact(
    string Reference,
    string Kind,
    string Stage,
    string Digest,
    DateTimeOffset CreatedAt,
    IReadOnlyList<string> Aliases,
    string? DatasetVersion)
{
    public string Name => Reference[..Reference.IndexOf('@', StringComparison.Ordinal)];
    public string Version => Reference[(Name.Length + 1)..];
}

/// <summary>The child was made from the parent, which was its base, dataset, adapter, source or tokenizer.</summary>
public sealed record LineageEdge(string Parent, string Child, string Role);

/// <param name="Artifact">What it registered.</param>
public sealed record LineageJob(string Id, string Kind, string State, string Artifact, DateTimeOffset StartedAt, DateTimeOffset? FinishedAt);

/// <param name="Name">Of the deployment, or <c>deployment:adapter</c>: the model id that answers.</param>
/// <param name="Digest">SHA-256 of the manifest that it is pinned to.</param>
public sealed record LineageDeployment(string Name, string Artifact, string Digest, DateTimeOffset CreatedAt);
