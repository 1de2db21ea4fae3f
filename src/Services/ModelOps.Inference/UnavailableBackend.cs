using System.Runtime.CompilerServices;

namespace ModelOps.Inference;

/// <summary>Stands in for a backend that is down: the model is known, and the request may be tried again.</summary>
/// <param name="reason">Why, for the client.</param>
public sealed class UnavailableBackend(string reason) : IInferenceBackend
{
    public async IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.FromException(Unavailable()).ConfigureAwait(false);
        yield break;
    }

    public Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken) =>
        Task.FromException<Embeddings>(Unavailable());

    public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken) =>
        Task.FromException<DocumentScores>(Unavailable());

    private InferenceException Unavailable() => new(InferenceError.Unavailable, reason);
}
