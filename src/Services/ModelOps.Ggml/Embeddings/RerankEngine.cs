using Microsoft.Extensions.Logging;

namespace ModelOps.Ggml;

/// <param name="Scores">One for each document, in their order: 0 to 1, the more the better.</param>
/// <param name="PromptTokens">Of all pairs of query and document.</param>
public sealed record Ranking(IReadOnlyList<float> Scores, int PromptTokens);

/// <summary>Scores documents for a query, by models whose pooling is rank. Documents of all callers share the batches. Thread-safe.</summary>
public sealed class RerankEngine : IAsyncDisposable
{
    /// <exception cref="ArgumentException">Options make no sense for this model; the message has all of them.</exception>
    /// <exception cref="InvalidOperationException">The model has no weights loaded, or ranks nothing: see <see cref="LlamaModel.Ranks"/>.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make the context, for example for lack of memory.</exception>
    public RerankEngine(LlamaModel model, EmbeddingOptions? options = null, ILogger? logger = null) => throw new NotSupportedException();

    /// <summary>The most tokens of a query with a document.</summary>
    public int ContextSize => throw new NotSupportedException();

    /// <summary>Bytes of its context; the weights are the model's (<see cref="LlamaModel.Size"/>).</summary>
    public long ContextMemory => throw new NotSupportedException();

    public EngineStatistics Statistics => throw new NotSupportedException();

    /// <exception cref="PromptTooLongException">The query with a document has more than <see cref="ContextSize"/> tokens.</exception>
    /// <exception cref="EngineBusyException">The queue has no room for the documents.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped, before or meanwhile.</exception>
    /// <exception cref="GgmlException">llama.cpp failed.</exception>
    public Task<Ranking> RankAsync(string query, IReadOnlyList<string> documents, CancellationToken cancellationToken = default) =>
        throw new NotSupportedException();

    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
