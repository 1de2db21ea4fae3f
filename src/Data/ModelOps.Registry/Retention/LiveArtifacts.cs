using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>Which artifacts are needed, and by what.</summary>
internal sealed class LiveArtifacts
{
    private readonly Dictionary<long, string> reasons = [];

    /// <returns>What needs the artifact; null when nothing does.</returns>
    public string? ReasonFor(long artifactId) => reasons.GetValueOrDefault(artifactId);

    /// <summary>
    /// Live are artifacts that are not archived, deployed ones, those with an alias, those an unfinished job names, and what live ones
    /// cannot be used without. An adapter, an index or a reward model needs its base and tokenizer; merged models stand alone.
    /// </summary>
    public static async Task<LiveArtifacts> LoadAsync(MetadataContext context, UnfinishedJobs jobs, CancellationToken cancellationToken)
    {
        var live = new LiveArtifacts();
        var artifacts = await context.Artifacts.AsNoTracking()
            .Select(row => new Node(row.Id, row.Name + "@" + row.Version, row.Name, row.Kind, row.Stage))
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        var byReference = artifacts.ToDictionary(node => node.Reference);
        foreach (var node in artifacts.Where(node => node.Stage != Stages.Archived))
            live.reasons[node.Id] = $"it is in {node.Stage}";
        foreach (var alias in await context.Aliases.AsNoTracking().ToListAsync(cancellationToken).ConfigureAwait(false))
            live.reasons[alias.ArtifactId] = $"alias {alias.Name}:{alias.Alias}";
        foreach (var deployment in await context.Deployments.AsNoTracking().ToListAsync(cancellationToken).ConfigureAwait(false))
        {
            if (byReference.TryGetValue(deployment.Artifact, out var deployed))
                live.reasons[deployed.Id] = $"deployment {deployment.Name}";
        }
        foreach (var adapter in await context.DeploymentAdapters.AsNoTracking().ToListAsync(cancellationToken).ConfigureAwait(false))
        {
            if (byReference.TryGetValue(adapter.Artifact, out var deployed))
                live.reasons[deployed.Id] = $"adapter {adapter.Name} of deployment {adapter.Deployment}";
        }
        foreach (var node in artifacts)
        {
            if ((jobs.Naming(node.Reference) ?? jobs.Naming(node.Name)) is { } job)
                live.reasons.TryAdd(node.Id, $"job {job}");
        }
        await live.AddNeededAsync(context, artifacts, cancellationToken).ConfigureAwait(false);
        return live;
    }

    private async Task AddNeededAsync(MetadataContext context, List<Node> artifacts, CancellationToken cancellationToken)
    {
        var edges = await context.ArtifactEdges.AsNoTracking()
            .Where(edge => edge.Role == "base" || edge.Role == "tokenizer" || edge.Role == "adapter")
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        var parents = edges.ToLookup(edge => edge.ArtifactId, edge => edge.ParentId);
        var byId = artifacts.ToDictionary(node => node.Id);
        var open = new Queue<long>(reasons.Keys);
        while (open.TryDequeue(out var id))
        {
            if (byId[id].Kind is not (ArtifactKinds.Adapter or ArtifactKinds.Index or ArtifactKinds.Reward))
                continue;
            foreach (var parent in parents[id])
            {
                if (reasons.TryAdd(parent, $"{byId[id].Kind} {byId[id].Reference}"))
                    open.Enqueue(parent);
            }
        }
    }

    private sealed record Node(long Id, string Reference, string Name, string Kind, string Stage);
}
