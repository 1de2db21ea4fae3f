namespace ModelOps.Registry;

/// <summary>An approver's verdict on moving an artifact to a stage.</summary>
public sealed class ApprovalRow
{
    public long Id { get; set; }
    public required long ArtifactId { get; set; }
    public required string Stage { get; set; }
    public required string By { get; set; }
    public required bool Approved { get; set; }
    public string? Comment { get; set; }
    public required DateTimeOffset At { get; set; }
}
