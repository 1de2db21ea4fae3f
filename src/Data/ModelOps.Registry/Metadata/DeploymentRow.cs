namespace ModelOps.Registry;

public sealed class DeploymentRow
{
    public required string Name { get; set; }
    /// <summary><c>name@version</c>.</summary>
    public required string Artifact { get; set; }
    public required string ManifestDigest { get; set; }
    /// <summary>In how many workers it is loaded.</summary>
    public int Replicas { get; set; } = 1;
    public int? ContextSize { get; set; }
    public int? Slots { get; set; }
    public int? QueueLength { get; set; }
    /// <summary>Null: its weights leave memory only for lack of it.</summary>
    public int? KeepAliveSeconds { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public List<DeploymentAdapterRow> Adapters { get; set; } = [];
}

/// <summary>An adapter that a deployment serves under a name of its own.</summary>
public sealed class DeploymentAdapterRow
{
    public required string Deployment { get; set; }
    public required string Name { get; set; }
    /// <summary><c>name@version</c>.</summary>
    public required string Artifact { get; set; }
    public required string ManifestDigest { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
}
