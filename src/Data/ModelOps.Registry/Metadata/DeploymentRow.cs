namespace ModelOps.Registry;

public sealed class DeploymentRow
{
    public required string Name { get; set; }
    /// <summary><c>name@version</c>.</summary>
    public required string Artifact { get; set; }
    public required string ManifestDigest { get; set; }
    public int? ContextSize { get; set; }
    public int? Slots { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
}
