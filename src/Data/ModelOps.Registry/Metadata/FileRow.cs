namespace ModelOps.Registry;

/// <summary>A file that somebody uploaded through OpenAI's API, or that a job made for them. Its bytes are a blob.</summary>
public sealed class FileRow
{
    /// <summary>Sorts by the time at which it was made.</summary>
    public required string Id { get; set; }
    /// <summary>As OpenAI names it: <c>fine-tune</c>, <c>fine-tune-results</c> or <c>batch</c>.</summary>
    public required string Purpose { get; set; }
    public required string FileName { get; set; }
    public required long Size { get; set; }
    public required string Sha256 { get; set; }
    public required string CreatedBy { get; set; }
    public required DateTimeOffset CreatedAt { get; set; }
    /// <summary>From when on there is no such file; null: it stays.</summary>
    public DateTimeOffset? ExpiresAt { get; set; }
}
