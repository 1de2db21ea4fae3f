namespace ModelOps.Inference;

/// <summary>Stands in for a backend that is down: the model is known, and the request may be tried again.</summary>
/// <param name="reason">Why, for the client.</param>
public sealed class UnavailableBackend(string reason) : IInferenceBackend
{
    public IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken) => throw Unavailable();

    public Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken) => throw Unavailable();

    public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken) =>
        throw Unavailable();

    private InferenceException Unavailable() => new(InferenceError.Unavailable, reason);
}
