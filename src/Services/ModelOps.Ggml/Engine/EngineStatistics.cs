namespace ModelOps.Ggml;

/// <summary>What an engine does now, and did since it was made.</summary>
public sealed record EngineStatistics
{
    /// <summary>Sequences that hold a slot.</summary>
    public int Active { get; init; }

    /// <summary>Requests that wait for one.</summary>
    public int Queued { get; init; }

    /// <summary>Prompt tokens of the requests that wait.</summary>
    public long QueuedTokens { get; init; }

    /// <summary>Batches decoded.</summary>
    public long Steps { get; init; }

    /// <summary>Read, over all requests; without those that the prefix cache had.</summary>
    public long PromptTokens { get; init; }

    /// <summary>That the prefix cache had, over all requests.</summary>
    public long CachedPromptTokens { get; init; }

    /// <summary>Sampled, over all requests.</summary>
    public long CompletionTokens { get; init; }

    public long Completed { get; init; }

    public long Cancelled { get; init; }

    public long Failed { get; init; }
}
