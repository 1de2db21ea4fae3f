namespace ModelOps.Registry;

/// <summary>One link of the audit chain. Rows are only ever added.</summary>
public sealed class AuditRow
{
    /// <summary>Counts from 1 without gaps.</summary>
    public required long Sequence { get; set; }
    public required DateTimeOffset At { get; set; }
    /// <summary>Who did it.</summary>
    public required string Actor { get; set; }
    /// <summary>What was done: <c>artifact.promoted</c>.</summary>
    public required string Action { get; set; }
    /// <summary>To what: <c>name@version</c>.</summary>
    public required string Subject { get; set; }
    /// <summary>Canonical JSON.</summary>
    public required string Detail { get; set; }
    /// <summary>SHA-256 of this row's other fields and the hash before it, hex.</summary>
    public required string Hash { get; set; }
}
