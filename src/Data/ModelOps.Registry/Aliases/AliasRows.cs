namespace ModelOps.Registry;

/// <summary>Where an alias points now.</summary>
public sealed class AliasRow
{
    public required string Name { get; set; }
    public required string Alias { get; set; }
    public required long ArtifactId { get; set; }
    public ArtifactRow? Artifact { get; set; }
    public required string By { get; set; }
    public required DateTimeOffset At { get; set; }
}

/// <summary>One move of an alias. Rows are only ever added.</summary>
public sealed class AliasMoveRow
{
    public long Id { get; set; }
    public required string Name { get; set; }
    public required string Alias { get; set; }
    /// <summary>The version before; null: there was no such alias.</summary>
    public string? From { get; set; }
    /// <summary>The version since; null: the alias was removed.</summary>
    public string? To { get; set; }
    public required string By { get; set; }
    public required DateTimeOffset At { get; set; }
}
