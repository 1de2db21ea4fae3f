using Microsoft.Extensions.Logging;

namespace ModelOps.Ggml;

/// <summary>
/// Vectors for texts, by the model's own pooling and normalised to length 1. Inputs of all callers share the batches. Thread-safe.
/// </summary>
public sealed class EmbeddingEngine : IAsyncDisposable
{
    private readonly PooledEngine engine;

    /// <exception cref="ArgumentException">Options make no sense for this model; the message has all of them.</exception>
    /// <exception cref="InvalidOperationException">The model has no weights loaded, or no pooling: see <see cref="LlamaModel.Embeds"/>.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make the context, for example for lack of memory.</exception>
    public EmbeddingEngine(LlamaModel model, EmbeddingOptions? options = null, ILogger? logger = null)
    {
        _ = model.Weights; // a model without any is what is wrong, not its pooling
        if (!model.Embeds)
            throw new InvalidOperationException(
                $"{model.Path} ({model.Description}) has no vectors for texts: its pooling ({model.Architecture}.pooling_type) is {model.Pooling}.");
        Width = model.EmbeddingWidth;
        engine = new PooledEngine(model, Width, options ?? new EmbeddingOptions(), logger);
    }

    /// <summary>Numbers of a vector.</summary>
    public int Width { get; }

    /// <summary>The most tokens of an input.</summary>
    public int ContextSize => engine.ContextSize;

    /// <summary>Bytes of its context; the weights are the model's (<see cref="LlamaModel.Size"/>).</summary>
    public long ContextMemory => engine.ContextMemory;

    public EngineStatistics Statistics => engine.Statistics;

    /// <param name="inputs">Tokens of each text, with the special ones that the model wants around it.</param>
    /// <returns>(inputs, <see cref="Width"/>)</returns>
    /// <exception cref="ArgumentException">An input is empty, or has a token that the vocabulary lacks.</exception>
    /// <exception cref="PromptTooLongException">An input has more than <see cref="ContextSize"/> tokens.</exception>
    /// <exception cref="EngineBusyException">The queue has no room for the inputs.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped, before or meanwhile.</exception>
    /// <exception cref="GgmlException">llama.cpp failed.</exception>
    public async Task<IReadOnlyList<float[]>> EmbedAsync(IReadOnlyList<int[]> inputs, CancellationToken cancellationToken = default)
    {
        var vectors = await engine.RunAsync(inputs, cancellationToken).ConfigureAwait(false);
        foreach (var vector in vectors) Normalize(vector);
        return vectors;
    }

    public ValueTask DisposeAsync() => engine.DisposeAsync();

    private static void Normalize(float[] vector)
    {
        var length = Math.Sqrt(vector.Sum(value => (double)value * value));
        if (length == 0) return;
        for (var i = 0; i < vector.Length; i++) vector[i] = (float)(vector[i] / length);
    }
}
