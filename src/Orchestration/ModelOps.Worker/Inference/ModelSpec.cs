using ModelOps.Workflows;

namespace ModelOps.Worker.Inference;

/// <summary>What a deployment wants in memory.</summary>
/// <param name="Name">Of this load alone.</param>
/// <param name="Title">The deployment's name, for people.</param>
internal sealed record ModelSpec(string Name, string Title, PinnedArtifact Artifact)
{
    /// <summary>The name of the model that goes once requests come to this one.</summary>
    /// <value>The default is null: none.</value>
    public string? Replaces { get; init; }

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
