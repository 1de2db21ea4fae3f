namespace ModelOps.Ggml;

/// <summary>Every slot and the queue are taken: try again later.</summary>
public sealed class EngineBusyException : Exception
{
    internal EngineBusyException(int active, int queued, int queueLength)
        : base($"The engine is busy: {active} sequences are being decoded and {queued} requests wait, of at most {queueLength}.") =>
        (Active, Queued) = (active, queued);

    internal EngineBusyException(int active, int queued, long queuedTokens, int promptTokens, long queueTokens)
        : base($"The engine is busy: {active} sequences are being decoded and {queued} requests wait with {queuedTokens} prompt tokens; " +
            $"{promptTokens} more would be over the limit of {queueTokens}.") => (Active, Queued) = (active, queued);

    /// <summary>Sequences that were being decoded.</summary>
    public int Active { get; }

    /// <summary>Requests that were waiting.</summary>
    public int Queued { get; }
}

/// <summary>A prompt leaves no room for a completion, or an input has no room in a step.</summary>
public sealed class PromptTooLongException : Exception
{
    internal PromptTooLongException(int promptTokens, int contextSize, int forCompletion = 1)
        : base($"The prompt has {promptTokens} tokens; the context holds {contextSize}{(forCompletion > 0 ? ", with at least one for the completion" : "")}.") =>
        (PromptTokens, ContextSize) = (promptTokens, contextSize);

    public int PromptTokens { get; }

    public int ContextSize { get; }
}

/// <summary>A request names an adapter that the engine does not have.</summary>
public sealed class AdapterNotFoundException(string adapter) : Exception($"The engine has no adapter '{adapter}'.")
{
    public string Adapter { get; } = adapter;
}
