using ModelOps.Workflows;

namespace ModelOps.Worker.Inference;

/// <summary>What a deployment wants in memory.</summary>
internal sealed record ModelSpec(string Name, PinnedArtifact Artifact)
{
    /// <summary>Tokens per sequence.</summary>
    /// <value>The default is null: the model's own, at most 4096.</value>
    public int? ContextSize { get; init; }

    /// <value>The default is null: the engine's.</value>
    public int? Slots { get; init; }

    /// <value>The default is null: the engine's.</value>
    public int? QueueLength { get; init; }

    /// <summary>Idle time after which the weights leave memory.</summary>
    /// <value>The default is null: only for lack of memory.</value>
    public TimeSpan? KeepAlive { get; init; }

    /// <summary>By name.</summary>
    public IReadOnlyDictionary<string, PinnedArtifact> Adapters { get; init; } = new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal);
}
