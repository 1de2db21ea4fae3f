namespace ModelOps.Client;

/// <summary>What an artifact was made from and what was made of it: each thing once, however many ways lead to it.</summary>
public sealed record LineageGraph
{
    /// <summary>Id of the artifact asked for.</summary>
    public required string Root { get; init; }
    public required IReadOnlyList<LineageNode> Nodes { get; init; }
    /// <summary>In the direction of the making: from the parent to the child.</summary>
    public required IReadOnlyList<LineageEdge> Edges { get; init; }
}

public sealed record LineageNode
{
    /// <summary><c>name@version</c> of an artifact, <c>job:ID</c>, <c>deployment:NAME</c>.</summary>
    public required string Id { get; init; }
    /// <summary>artifact, job or deployment.</summary>
    public required string Type { get; init; }
    /// <summary>Of an artifact or a job: gguf, sft.</summary>
    public string? Kind { get; init; }
    /// <summary>Of an artifact: DEV, STAGING, PRODUCTION or ARCHIVED.</summary>
    public string? Stage { get; init; }
    /// <summary>Of a job: succeeded.</summary>
    public string? State { get; init; }
    /// <summary>Of an artifact, its manifest's SHA-256; of a deployment, the one that it is pinned to.</summary>
    public string? Digest { get; init; }
    /// <summary>Of a dataset artifact, the dataset version that it proves, <c>name@version</c>.</summary>
    public string? DatasetVersion { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public IReadOnlyList<string> Aliases { get; set; } = [];
}

/// <param name="Role">What the first is for the second: base, dataset, adapter, source, tokenizer; a job made it; it is served by a deployment.</param>
public sealed record LineageEdge(string From, string To, string Role);

public static class LineageNodeTypes
{
    public const string Artifact = "artifact";
    public const string Job = "job";
    public const string Deployment = "deployment";
}
