using System.Collections.Concurrent;

namespace ModelOps.Inference;

/// <summary>Which backend answers for a model name.</summary>
public sealed class ModelRouter
{
    private readonly ConcurrentDictionary<string, WorkerBackend> routes = new(StringComparer.Ordinal);

    public void Set(string model, WorkerBackend backend) => routes[model] = backend;

    public void Remove(string model) => routes.TryRemove(model, out _);

    /// <exception cref="InferenceException">No such model, or its backend refuses.</exception>
    public IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken) =>
        routes.TryGetValue(request.Model, out var backend)
            ? backend.GenerateAsync(request, cancellationToken)
            : throw new InferenceException(
                InferenceError.ModelNotFound, $"no model '{request.Model}' is deployed; see /v1/models for those that are");
}
