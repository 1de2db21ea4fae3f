using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>How inputs are batched by <see cref="EmbeddingEngine"/> and <see cref="RerankEngine"/>.</summary>
public sealed record EmbeddingOptions
{
    public const int DefaultBatchTokens = 2048;
    public const int DefaultSlots = 32;
    public const int DefaultQueueLength = 1024;

    /// <summary>
    /// The most tokens of one input, and of one step over several inputs. An input is computed in one step, since its tokens may see those
    /// that come later.
    /// </summary>
    /// <value>The default is 2048. An input has no more than the model was trained for, however large it is.</value>
    public int BatchTokens { get; init; } = DefaultBatchTokens;

    /// <summary>Inputs of one step at most.</summary>
    /// <value>The default is 32; llama.cpp allows 256.</value>
    public int Slots { get; init; } = DefaultSlots;

    /// <value>The default is all processors but one, at least one.</value>
    public int Threads { get; init; } = EngineOptions.DefaultThreads;

    /// <summary>Inputs that may wait; a call that would add more is refused.</summary>
    /// <value>The default is 1024.</value>
    public int QueueLength { get; init; } = DefaultQueueLength;

    internal IReadOnlyList<string> Errors()
    {
        var maxSlots = (int)NativeLlama.MaxParallelSequences();
        var errors = new List<string>();
        if (BatchTokens < 1) errors.Add($"{nameof(BatchTokens)} is {BatchTokens}: at least 1");
        if (Slots < 1 || Slots > maxSlots) errors.Add($"{nameof(Slots)} is {Slots}: 1 to {maxSlots} are possible");
        if (Threads < 1) errors.Add($"{nameof(Threads)} is {Threads}: at least 1 computes");
        if (QueueLength < 1) errors.Add($"{nameof(QueueLength)} is {QueueLength}: at least 1");
        return errors;
    }
}
