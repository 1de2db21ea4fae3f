namespace ModelOps.Registry;

public sealed class JobRow
{
    public required string Id { get; set; }
    public required string Kind { get; set; }
    public required string State { get; set; }
    public required string CreatedBy { get; set; }
    /// <summary>From 1, the most urgent, to 5.</summary>
    public int Priority { get; set; } = 3;
    /// <summary>Runs, the present one with them.</summary>
    public int Attempts { get; set; } = 1;
    /// <summary>W3C trace context of the request that started it.</summary>
    public string? TraceParent { get; set; }
    /// <summary>Where its workflow is: only who has the same engine runs it.</summary>
    public required string Engine { get; set; }
    /// <summary>The activity that runs.</summary>
    public string? Step { get; set; }
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
    public bool PauseRequested { get; set; }
}

/// <summary>A line that was logged while a worker ran an activity of the job.</summary>
public sealed class JobLogRow
{
    public required string JobId { get; set; }
    /// <summary>Counts from 1 within the job; the oldest lines of a long log are gone.</summary>
    public required long Sequence { get; set; }
    public required DateTimeOffset At { get; set; }
    /// <summary>As .NET names it: <c>Information</c>, <c>Warning</c>, …</summary>
    public required string Level { get; set; }
    /// <summary>The activity that ran; null in lines of versions that did not say it.</summary>
    public string? Step { get; set; }
    /// <summary>Of the activity, from 1; null where <see cref="Step"/> is.</summary>
    public int? Attempt { get; set; }
    /// <summary>Hex; null where nobody traced, and in lines of versions that did not say it, as is <see cref="SpanId"/>.</summary>
    public string? TraceId { get; set; }
    /// <summary>Hex.</summary>
    public string? SpanId { get; set; }
    public required string Text { get; set; }
}

/// <summary>A metric at a step of a job's work.</summary>
public sealed class JobMetricRow
{
    public required string JobId { get; set; }
    public required string Name { get; set; }
    public required long Step { get; set; }
    public required DateTimeOffset At { get; set; }
    public required double Value { get; set; }
}

public sealed class JobEventRow
{
    public required string JobId { get; set; }
    /// <summary>Rises from 1 within the job, and is never used again.</summary>
    public required long Sequence { get; set; }
    public required DateTimeOffset At { get; set; }
    public required string State { get; set; }
    /// <summary>JSON.</summary>
    public string? Progress { get; set; }
    public string? Message { get; set; }
}
