using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;

namespace ModelOps.Server.Lifecycle;

public static class LineageEndpoints
{
    public static void MapLineage(this IEndpointRouteBuilder artifacts) => artifacts.MapGet("/{reference}/lineage", GetAsync)
        .WithName("getArtifactLineage").WithSummary("Tells what an artifact was made from and what was made of it.").Produces<Client.LineageGraph>();

    private static async Task<IResult> GetAsync(
        string reference, string? direction, string? format, ArtifactLineage lineage, CancellationToken cancellationToken)
    {
        LineageDirections? directions = direction switch
        {
            null or "upstream" => LineageDirections.Upstream,
            "downstream" => LineageDirections.Downstream,
            "both" => LineageDirections.Both,
            _ => null,
        };
        var errors = new List<string>();
        if (directions is null) errors.Add($"direction '{direction}': choose upstream, downstream or both");
        if (format is not (null or "graph" or "openlineage")) errors.Add($"format '{format}': choose graph or openlineage");
        if (errors.Count > 0) return Problems.Invalid(errors);
        if (await lineage.GetAsync(reference, directions!.Value, cancellationToken) is not { } graph)
            return ArtifactEndpoints.NoSuchArtifact(reference);
        return format == "openlineage"
            ? Results.Text(OpenLineage.EventsOf(graph).ToJsonString(), "application/json")
            : Results.Ok(ToWire(graph));
    }

    private static Client.LineageGraph ToWire(Registry.LineageGraph graph) => new()
    {
        Root = graph.Root,
        Nodes =
        [
            .. graph.Artifacts.Select(artifact => new LineageNode
            {
                Id = artifact.Reference,
                Type = LineageNodeTypes.Artifact,
                Kind = artifact.Kind,
                Stage = artifact.Stage,
                Digest = artifact.Digest,
                DatasetVersion = artifact.DatasetVersion,
                CreatedAt = artifact.CreatedAt,
                Aliases = artifact.Aliases,
            }),
            .. graph.Jobs.Select(job => new LineageNode
            {
                Id = IdOf(job),
                Type = LineageNodeTypes.Job,
                Kind = job.Kind,
                State = job.State,
                CreatedAt = job.StartedAt,
            }),
            .. graph.Deployments.Select(deployment => new LineageNode
            {
                Id = IdOf(deployment),
                Type = LineageNodeTypes.Deployment,
                Digest = deployment.Digest,
                CreatedAt = deployment.CreatedAt,
            }),
        ],
        Edges =
        [
            .. graph.Edges.Select(edge => new Client.LineageEdge(edge.Parent, edge.Child, edge.Role)),
            .. graph.Jobs.Select(job => new Client.LineageEdge(IdOf(job), job.Artifact, "made")),
            .. graph.Deployments.Select(deployment => new Client.LineageEdge(deployment.Artifact, IdOf(deployment), "served")),
        ],
    };

    private static string IdOf(LineageJob job) => $"job:{job.Id}";

    private static string IdOf(LineageDeployment deployment) => $"deployment:{deployment.Name}";
}
