namespace ModelOps.Ggml;

/// <summary>
/// A piece of a completion. The last one has <see cref="Finish"/> and <see cref="Usage"/>; an end by any other cause throws.
/// </summary>
/// <param name="Text">Whole characters only; empty where the last piece brings no more text.</param>
/// <param name="Tokens">What was sampled since the piece before, end-of-generation and withheld stop text included.</param>
public sealed record GeneratedPiece(string Text, IReadOnlyList<int> Tokens, FinishReason? Finish = null, GenerationUsage? Usage = null);

public enum FinishReason
{
    /// <summary>The model ended its turn, or a stop text appeared.</summary>
    Stop,

    /// <summary>The wanted number of tokens, or the end of the context, is reached.</summary>
    Length,
}

/// <param name="CompletionTokens">All that were sampled, the end-of-generation token included.</param>
public sealed record GenerationUsage(int PromptTokens, int CompletionTokens);

/// <summary>Every slot and the queue are taken: try again later.</summary>
public sealed class EngineBusyException(int slots, int queued)
    : Exception($"The engine is busy: {slots} sequences are being decoded and {queued} requests wait, which is all that may.")
{
    public int Queued { get; } = queued;
}

/// <summary>A prompt leaves no room for a completion.</summary>
public sealed class PromptTooLongException(int promptTokens, int contextSize)
    : Exception($"The prompt has {promptTokens} tokens; the context holds {contextSize}, with at least one for the completion.")
{
    public int PromptTokens { get; } = promptTokens;

    public int ContextSize { get; } = contextSize;
}
