namespace ModelOps.Client;

/// <param name="Stage">STAGING or PRODUCTION.</param>
public sealed record PromoteArtifact(string Stage);

/// <param name="Stage">The stage that the verdict is about: STAGING or PRODUCTION.</param>
public sealed record JudgeArtifact(string Stage, string? Comment = null);

/// <summary>An approver's verdict on a promotion.</summary>
/// <param name="Artifact"><c>name@version</c>.</param>
public sealed record Approval(string Artifact, string Stage, string By, bool Approved, string? Comment, DateTimeOffset At);

/// <param name="Version">The version that the alias points to from now on.</param>
/// <param name="IfIs">Only if it points to this version now; empty: only if there is no such alias; null: whatever it is.</param>
public sealed record MoveAlias(string Version, string? IfIs = null);

/// <summary><c>name:alias</c> is accepted wherever <c>name@version</c> is.</summary>
/// <param name="Digest">SHA-256 of the version's manifest, hex.</param>
public sealed record Alias(string Name, string Value, string Version, string Digest, string By, DateTimeOffset At);

/// <param name="From">The version before; null: there was no such alias.</param>
/// <param name="To">The version since; null: the alias was removed.</param>
public sealed record AliasMove(string Alias, string? From, string? To, string By, DateTimeOffset At);

public sealed record RunRetention(bool DryRun);

/// <summary>What a run of retention did; of a dry run, what it would have done.</summary>
public sealed record RetentionRun
{
    public required bool DryRun { get; init; }
    /// <summary>Archived artifacts whose files were let go.</summary>
    public required IReadOnlyList<RemovedArtifactFiles> Removed { get; init; }
    /// <summary>Archived artifacts that are old enough, and what needs each.</summary>
    public required IReadOnlyList<KeptArtifactFiles> Kept { get; init; }
    /// <summary>Blobs that nothing refers to: taken out of use, gone for good a day later.</summary>
    public required BlobTotal SetAside { get; init; }
    /// <summary>Blobs set aside earlier that are gone now.</summary>
    public required BlobTotal Freed { get; init; }
}

/// <param name="Size">Bytes, those shared with other artifacts included.</param>
public sealed record RemovedArtifactFiles(string Artifact, int Files, long Size);

public sealed record KeptArtifactFiles(string Artifact, string Reason);

public sealed record BlobTotal(int Blobs, long Bytes);
