using System.Text.Json.Nodes;

namespace ModelOps.Registry;

/// <summary>Lineage as OpenLineage events, spec 2-0-2 (openlineage.io/spec/2-0-2/OpenLineage.json).</summary>
public static class OpenLineage
{
    private const string Producer = "urn:modelops";
    private const string Namespace = "modelops";
    private const string Spec = "https://openlineage.io/spec/2-0-2/OpenLineage.json";
    private const string Facets = "https://openlineage.io/spec/facets";

    /// <summary>The START and the end of every run that made an artifact of the graph, oldest run first.</summary>
    /// <returns>A list of RunEvents.</returns>
    public static JsonArray EventsOf(LineageGraph graph)
    {
        var artifacts = graph.Artifacts.ToDictionary(artifact => artifact.Reference);
        var parents = graph.Edges.ToLookup(edge => edge.Child);
        var events = new JsonArray();
        foreach (var job in graph.Jobs)
        {
            events.Add(EventOf("START", job.StartedAt, job, artifacts, parents));
            if (job.FinishedAt is { } finished)
                events.Add(EventOf("COMPLETE", finished, job, artifacts, parents));
        }
        return events;
    }

    private static JsonObject EventOf(
        string type, DateTimeOffset at, LineageJob job, Dictionary<string, LineageArtifact> artifacts, ILookup<string, LineageEdge> parents) => new()
        {
            ["eventType"] = type,
            ["eventTime"] = Time(at),
            ["producer"] = Producer,
            ["schemaURL"] = $"{Spec}#/$defs/RunEvent",
            ["run"] = new JsonObject { ["runId"] = NameGuid.Of(NameGuid.Url, $"{Producer}:job:{job.Id}").ToString() },
            ["job"] = new JsonObject
            {
                ["namespace"] = Namespace,
                ["name"] = $"{job.Kind}.{artifacts[job.Artifact].Name}",
                ["facets"] = new JsonObject
                {
                    ["jobType"] = new JsonObject
                    {
                        ["_producer"] = Producer,
                        ["_schemaURL"] = $"{Facets}/2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
                        ["processingType"] = "BATCH",
                        ["integration"] = "MODELOPS",
                        ["jobType"] = job.Kind.ToUpperInvariant(),
                    },
                },
            },
            ["inputs"] = new JsonArray(
                [.. parents[job.Artifact].Where(edge => artifacts.ContainsKey(edge.Parent)).Select(edge => DatasetOf(artifacts[edge.Parent], edge.Role))]),
            ["outputs"] = new JsonArray(DatasetOf(artifacts[job.Artifact], role: null)),
        };

    /// <summary>OpenLineage calls everything that a run reads or writes a dataset.</summary>
    private static JsonObject DatasetOf(LineageArtifact artifact, string? role)
    {
        var proof = new JsonObject
        {
            ["_producer"] = Producer,
            ["_schemaURL"] = $"{Spec}#/$defs/DatasetFacet",
            ["digest"] = $"sha256:{artifact.Digest}",
            ["kind"] = artifact.Kind,
            ["stage"] = artifact.Stage,
        };
        if (role is not null)
            proof["role"] = role;
        if (artifact.DatasetVersion is not null)
            proof["datasetVersion"] = artifact.DatasetVersion;
        return new JsonObject
        {
            ["namespace"] = Namespace,
            ["name"] = artifact.Name,
            ["facets"] = new JsonObject
            {
                ["version"] = new JsonObject
                {
                    ["_producer"] = Producer,
                    ["_schemaURL"] = $"{Facets}/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
                    ["datasetVersion"] = artifact.Version,
                },
                ["dataSource"] = new JsonObject
                {
                    ["_producer"] = Producer,
                    ["_schemaURL"] = $"{Facets}/1-0-1/DatasourceDatasetFacet.json#/$defs/DatasourceDatasetFacet",
                    ["name"] = Namespace,
                    ["uri"] = $"urn:modelops:artifact:{artifact.Reference}",
                },
                ["modelops_artifact"] = proof,
            },
        };
    }

    private static string Time(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ");
}
