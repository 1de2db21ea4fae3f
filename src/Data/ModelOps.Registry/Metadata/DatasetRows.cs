namespace ModelOps.Registry;

public sealed class DatasetRow
{
    public required string Name { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
}

public sealed class DatasetVersionRow
{
    public required string Dataset { get; set; }
    public required string Version { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    /// <summary>The canonical schema of the rows: <c>sft</c>.</summary>
    public required string Task { get; set; }
    /// <summary>JSON: rows per split.</summary>
    public required string Rows { get; set; }
    public required long RejectedRows { get; set; }
    public required string SourceSha256 { get; set; }
    /// <summary>JSON: Delta version per split.</summary>
    public required string TableVersions { get; set; }
    /// <summary>The signed artifact of this version, <c>name@version</c>.</summary>
    public required string Artifact { get; set; }
}
