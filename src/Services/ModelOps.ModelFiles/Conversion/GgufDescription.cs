namespace ModelOps.ModelFiles.Conversion;

/// <summary>Who and what a model is and comes from: the lineage slots of GGUF's <c>general.*</c> metadata.</summary>
public sealed record GgufDescription
{
    public required string Name { get; init; }

    public string? Version { get; init; }

    public string? Organization { get; init; }

    public string? Description { get; init; }

    /// <summary>SPDX expression, e.g. <c>apache-2.0</c>.</summary>
    public string? License { get; init; }

    /// <summary>What the model was fine-tuned to be, e.g. <c>instruct</c>.</summary>
    public string? Finetune { get; init; }

    public string? QuantizedBy { get; init; }

    public IReadOnlyList<GgufSource> BaseModels { get; init; } = [];

    public IReadOnlyList<GgufSource> Datasets { get; init; } = [];

    internal IEnumerable<KeyValuePair<string, object>> ToMetadata()
    {
        (string Key, string? Value)[] texts =
        [
            ("general.name", Name),
            ("general.version", Version),
            ("general.organization", Organization),
            ("general.description", Description),
            ("general.license", License),
            ("general.finetune", Finetune),
            ("general.quantized_by", QuantizedBy),
        ];
        foreach (var (key, value) in texts)
        {
            if (value is not null) yield return new(key, value);
        }

        foreach (var entry in SourceMetadata("general.base_model", BaseModels)) yield return entry;
        foreach (var entry in SourceMetadata("general.dataset", Datasets)) yield return entry;
    }

    private static IEnumerable<KeyValuePair<string, object>> SourceMetadata(string prefix, IReadOnlyList<GgufSource> sources)
    {
        if (sources.Count == 0) yield break;
        yield return new($"{prefix}.count", (uint)sources.Count);
        foreach (var (index, source) in sources.Index())
        {
            yield return new($"{prefix}.{index}.name", source.Name);
            if (source.Version is not null) yield return new($"{prefix}.{index}.version", source.Version);
            if (source.Organization is not null) yield return new($"{prefix}.{index}.organization", source.Organization);
            if (source.RepositoryUrl is not null) yield return new($"{prefix}.{index}.repo_url", source.RepositoryUrl);
        }
    }
}

/// <summary>A base model or dataset that a model comes from.</summary>
public sealed record GgufSource(string Name)
{
    public string? Version { get; init; }

    public string? Organization { get; init; }

    public string? RepositoryUrl { get; init; }
}
