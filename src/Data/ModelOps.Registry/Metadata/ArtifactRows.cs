namespace ModelOps.Registry;

public sealed class ArtifactRow
{
    /// <summary>Grows with every registration: the latest version of a name has the largest.</summary>
    public long Id { get; set; }
    public required string Name { get; set; }
    public required string Version { get; set; }
    public required string Kind { get; set; }
    public required string Stage { get; set; }
    /// <summary>SHA-256 of <see cref="Manifest"/>, hex.</summary>
    public required string Digest { get; set; }
    /// <summary>The canonical JSON that was signed.</summary>
    public required string Manifest { get; set; }
    public required string CreatedBy { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? ArchivedAt { get; set; }
    /// <summary>When retention let its files go; null while it has them.</summary>
    public DateTimeOffset? FilesRemovedAt { get; set; }
    public List<ArtifactFileRow> Files { get; set; } = [];
    public List<ArtifactEdgeRow> Parents { get; set; } = [];
}

public sealed class ArtifactFileRow
{
    public long ArtifactId { get; set; }
    public required string Path { get; set; }
    public required long Size { get; set; }
    public required string Sha256 { get; set; }
}

/// <summary>The child was made from the parent.</summary>
public sealed class ArtifactEdgeRow
{
    public long ArtifactId { get; set; }
    public required string Role { get; set; }
    public required long ParentId { get; set; }
    public ArtifactRow? Parent { get; set; }
}
