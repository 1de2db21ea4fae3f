namespace ModelOps.Registry;

public sealed class JobRow
{
    public required string Id { get; set; }
    public required string Kind { get; set; }
    public required string State { get; set; }
    /// <summary>JSON, as are <see cref="Result"/> and <see cref="Progress"/>.</summary>
    public required string Input { get; set; }
    public string? Result { get; set; }
    public string? Progress { get; set; }
    /// <summary>What the job registered, <c>name@version</c>.</summary>
    public string? Artifact { get; set; }
    public string? ErrorType { get; set; }
    public string? ErrorMessage { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public bool CancelRequested { get; set; }
}

public sealed class JobEventRow
{
    public required string JobId { get; set; }
    /// <summary>Counts from 1 within the job, without gaps.</summary>
    public required long Sequence { get; set; }
    public required DateTimeOffset At { get; set; }
    public required string State { get; set; }
    /// <summary>JSON.</summary>
    public string? Progress { get; set; }
    public string? Message { get; set; }
}
