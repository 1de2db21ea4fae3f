namespace ModelOps.Inference;

/// <summary>What answers for models: the inference worker, or another server.</summary>
public interface IInferenceBackend
{
    /// <summary>Streams an answer; the non-streaming one is this, folded.</summary>
    /// <exception cref="InferenceException">Thrown by the enumeration: the request is wrong, or the backend busy or down.</exception>
    IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken);

    /// <exception cref="InferenceException">The inputs are wrong, the model has no embeddings, or the backend is busy or down.</exception>
    Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken);

    /// <exception cref="InferenceException">The model does not rank, or the backend is busy or down.</exception>
    Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken);
}
