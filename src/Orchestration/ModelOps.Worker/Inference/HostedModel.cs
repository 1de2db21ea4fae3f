using ModelOps.Ggml;
using ModelOps.Workflows;

namespace ModelOps.Worker.Inference;

/// <summary>A deployment's model, in memory or not. All of it changes under the gate of its <see cref="ModelHost"/>.</summary>
internal sealed class HostedModel(ModelSpec spec, LoadedModel loaded, long lastUsed)
{
    private EngineStatistics past = new();

    public string Name => spec.Name;

    public string Title => spec.Title;

    public string? Replaces => spec.Replaces;

    public TimeSpan? KeepAlive => spec.KeepAlive;

    public Dictionary<string, PinnedArtifact> Adapters { get; } = new(spec.Adapters, StringComparer.Ordinal);

    /// <summary>What to load, with the adapters that it has now.</summary>
    public ModelSpec Wanted => spec with { Adapters = new Dictionary<string, PinnedArtifact>(Adapters, StringComparer.Ordinal) };

    /// <summary>Null while it is not in memory.</summary>
    public LoadedModel? Loaded { get; set; } = loaded;

    /// <summary>Bytes that it takes while it is in memory.</summary>
    public long Size { get; } = loaded.Memory;

    /// <summary>Requests that run on it.</summary>
    public int Active { get; set; }

    /// <summary>Timestamp of the last request's end, or of its load.</summary>
    public long LastUsed { get; set; } = lastUsed;

    /// <summary>Another took its name: it goes with its last request.</summary>
    public bool IsRetired { get; set; }

    public long ColdStarts { get; set; }

    /// <summary>Looks whether it may leave after its keep-alive.</summary>
    public ITimer? Timer { get; set; }

    public EngineStatistics Statistics => (Loaded?.Generator?.Statistics ?? Loaded?.Embedder?.Statistics ?? Loaded?.Ranker?.Statistics) is { } now
        ? Sum(now, past)
        : past with { Active = 0, Queued = 0 };

    /// <summary>What the model that it replaces did is its own.</summary>
    public void Inherit(HostedModel before)
    {
        past = Sum(past, before.Statistics);
        ColdStarts += before.ColdStarts;
    }

    /// <returns>What it had in memory, to dispose outside the gate.</returns>
    public LoadedModel? Leave()
    {
        past = Statistics;
        var leaving = Loaded;
        Loaded = null;
        return leaving;
    }

    private static EngineStatistics Sum(EngineStatistics now, EngineStatistics past) => now with
    {
        PromptTokens = now.PromptTokens + past.PromptTokens,
        CachedPromptTokens = now.CachedPromptTokens + past.CachedPromptTokens,
        CompletionTokens = now.CompletionTokens + past.CompletionTokens,
    };
}
