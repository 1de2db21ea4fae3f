using Microsoft.Extensions.Logging;

namespace ModelOps.Ggml;

/// <summary>
/// Vectors for texts, by the model's own pooling and normalised to length 1. Inputs of all callers share the batches. Thread-safe.
/// </summary>
public sealed class EmbeddingEngine : IAsyncDisposable
{
    /// <exception cref="ArgumentException">Options make no sense for this model; the message has all of them.</exception>
    /// <exception cref="InvalidOperationException">The model has no weights loaded, or no pooling: see <see cref="LlamaModel.Embeds"/>.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make the context, for example for lack of memory.</exception>
    public EmbeddingEngine(LlamaModel model, EmbeddingOptions? options = null, ILogger? logger = null) => throw new NotSupportedException();

    /// <summary>Numbers of a vector.</summary>
    public int Width => throw new NotSupportedException();

    /// <summary>The most tokens of an input.</summary>
    public int ContextSize => throw new NotSupportedException();

    /// <summary>Bytes of its context; the weights are the model's (<see cref="LlamaModel.Size"/>).</summary>
    public long ContextMemory => throw new NotSupportedException();

    public EngineStatistics Statistics => throw new NotSupportedException();

    /// <param name="inputs">Tokens of each text, with the special ones that the model wants around it.</param>
    /// <returns>(inputs, <see cref="Width"/>)</returns>
    /// <exception cref="ArgumentException">An input is empty, or has a token that the vocabulary lacks.</exception>
    /// <exception cref="PromptTooLongException">An input has more than <see cref="ContextSize"/> tokens.</exception>
    /// <exception cref="EngineBusyException">The queue has no room for the inputs.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped, before or meanwhile.</exception>
    /// <exception cref="GgmlException">llama.cpp failed.</exception>
    public Task<IReadOnlyList<float[]>> EmbedAsync(IReadOnlyList<int[]> inputs, CancellationToken cancellationToken = default) =>
        throw new NotSupportedException();

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
