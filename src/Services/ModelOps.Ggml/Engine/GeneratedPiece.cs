namespace ModelOps.Ggml;

/// <summary>
/// A piece of a completion. The last one has <see cref="Finish"/> and <see cref="Usage"/>; an end by any other cause throws.
/// </summary>
/// <param name="Text">Whole characters only; empty where the last piece brings no more text.</param>
/// <param name="Tokens">What was sampled since the piece before, end-of-generation and withheld stop text included.</param>
public sealed record GeneratedPiece(string Text, IReadOnlyList<int> Tokens, FinishReason? Finish = null, GenerationUsage? Usage = null)
{
    /// <summary>One for each of <see cref="Tokens"/>; empty unless <see cref="GenerationRequest.TopLogprobs"/> asks for them.</summary>
    public IReadOnlyList<TokenLogprob> Logprobs { get; init; } = [];
}

public enum FinishReason
{
    /// <summary>The model ended its turn, or a stop text appeared, or the grammar is complete.</summary>
    Stop,

    /// <summary>The wanted number of tokens, or the end of the context, is reached.</summary>
    Length,
}

/// <param name="Bytes">Of the token, which may be a part of a character.</param>
/// <param name="Logprob">
/// Natural logarithm of the probability that the model gives the token: before bias, penalties, grammar, filters and temperature.
/// </param>
/// <param name="Top">The most likely tokens of the same position, the likeliest first; empty within this list itself.</param>
public sealed record TokenLogprob(int Token, ReadOnlyMemory<byte> Bytes, float Logprob, IReadOnlyList<TokenLogprob> Top);

/// <param name="CompletionTokens">All that were sampled, the end-of-generation token included.</param>
/// <param name="CachedPromptTokens">Those of the prompt that an earlier request had left in the cache.</param>
/// <param name="QueueTime">Until a slot was free.</param>
/// <param name="PromptTime">From there to the first token.</param>
/// <param name="DecodeTime">From there to the last.</param>
public sealed record GenerationUsage(
    int PromptTokens, int CompletionTokens, int CachedPromptTokens, TimeSpan QueueTime, TimeSpan PromptTime, TimeSpan DecodeTime);
