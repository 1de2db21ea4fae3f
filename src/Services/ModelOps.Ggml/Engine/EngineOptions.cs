using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

public sealed record EngineOptions
{
    public const int DefaultSlots = 4;
    public const int DefaultBatchTokens = 512;
    public const int DefaultQueueLength = 64;

    /// <summary>
    /// ggml's threads spin while they wait for each other: with one for every core, anything else that runs stalls them all.
    /// </summary>
    public static int DefaultThreads { get; } = Math.Max(1, Environment.ProcessorCount - 1);

    /// <summary>Sequences decoded together.</summary>
    /// <value>The default is 4; llama.cpp allows 256.</value>
    public int Slots { get; init; } = DefaultSlots;

    /// <summary>Tokens of prompt and completion that a sequence has room for. Memory for all slots is taken at once.</summary>
    /// <value>The default is null: what the model was trained for.</value>
    public int? ContextSize { get; init; }

    /// <summary>
    /// The most tokens of one step, those of all sequences together. Prompts are read in chunks of what the decoding sequences leave: a
    /// smaller number makes their tokens come more evenly, a larger one reads prompts faster.
    /// </summary>
    /// <value>The default is 512.</value>
    public int BatchTokens { get; init; } = DefaultBatchTokens;

    /// <value>The default is all processors but one, at least one.</value>
    public int Threads { get; init; } = DefaultThreads;

    /// <summary>Requests that may wait for a slot; one more is refused.</summary>
    /// <value>The default is 64.</value>
    public int QueueLength { get; init; } = DefaultQueueLength;

    /// <summary>Prompt tokens, of all requests together, that may wait for a slot; a request that would add more is refused.</summary>
    /// <value>The default is null: no limit but <see cref="QueueLength"/>.</value>
    public long? QueueTokens { get; init; }

    /// <summary>Keeps what slots have computed, for requests whose prompts begin like it.</summary>
    /// <value>The default is true.</value>
    public bool PrefixCache { get; init; } = true;

    /// <summary>
    /// Reads long prompts faster and needs no memory for scores (heads × context × batch), but decodes slower over a long context, and its
    /// kernel depends on the number of tokens of a step, one of them adding up in F16: what else is in a batch then changes the third digit of
    /// logits, and now and then a token.
    /// </summary>
    /// <value>The default is false.</value>
    public bool FlashAttention { get; init; }

    /// <returns>What makes no sense for a model that was trained for so many tokens.</returns>
    internal IReadOnlyList<string> Errors(int trainedContext)
    {
        var maxSlots = (int)NativeLlama.MaxParallelSequences();
        var errors = new List<string>();
        if (Slots < 1 || Slots > maxSlots) errors.Add($"{nameof(Slots)} is {Slots}: 1 to {maxSlots} are possible");
        if (ContextSize < 1 || ContextSize > trainedContext)
            errors.Add($"{nameof(ContextSize)} is {ContextSize}: the model was trained for 1 to {trainedContext} tokens");
        if (BatchTokens < Slots) errors.Add($"{nameof(BatchTokens)} is {BatchTokens}: every one of {Slots} slots needs a token per step");
        if (Threads < 1) errors.Add($"{nameof(Threads)} is {Threads}: at least 1 computes");
        if (QueueLength < 0) errors.Add($"{nameof(QueueLength)} is {QueueLength}: 0 means that nothing waits");
        if (QueueTokens < 0) errors.Add($"{nameof(QueueTokens)} is {QueueTokens}: 0 means that nothing waits");
        return errors;
    }
}
