using System.Collections.Concurrent;

namespace ModelOps.Inference;

/// <summary>Who answers for a public model name, and under which name there.</summary>
public sealed record ModelRoute(IInferenceBackend Backend, string Model)
{
    /// <value>The default is null: the model itself.</value>
    public string? Adapter { get; init; }

    /// <summary>When it was deployed, or first seen at a backend.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Who serves it.</summary>
    /// <value>The default is <c>modelops</c>: a deployment; else the name of a configured backend.</value>
    public string OwnedBy { get; init; } = "modelops";
}

/// <summary>Which backend answers for a model name. Every generation goes through it and is measured here.</summary>
/// <param name="metrics">Null measures nothing.</param>
public sealed class ModelRouter(InferenceMetrics? metrics = null)
{
    private readonly ConcurrentDictionary<string, ModelRoute> routes = new(StringComparer.Ordinal);

    public void Set(string model, ModelRoute route) => routes[model] = route;

    public void Remove(string model) => routes.TryRemove(model, out _);

    /// <summary>Routes these models to a backend, and no others any longer; a name that somebody else serves stays theirs.</summary>
    public void SetAll(IInferenceBackend backend, IReadOnlyDictionary<string, ModelRoute> models)
    {
        foreach (var stale in routes.Where(route => route.Value.Backend == backend && !models.ContainsKey(route.Key))) routes.TryRemove(stale);
        foreach (var (model, route) in models) routes.TryAdd(model, route);
    }

    /// <summary>The models that can answer now, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, ModelRoute>> List() =>
        [.. routes.Where(route => route.Value.Backend is not ReplicaBackend { IsDown: true }).OrderBy(route => route.Key, StringComparer.Ordinal)];

    /// <exception cref="InferenceException">No such model.</exception>
    public ModelRoute Find(string model) =>
        routes.TryGetValue(model, out var route)
            ? route
            : throw new InferenceException(InferenceError.ModelNotFound, $"no model '{model}' is deployed; see /v1/models for those that are");

    /// <exception cref="InferenceException">No such model, or its backend refuses.</exception>
    public IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken)
    {
        var route = Find(request.Model);
        var pieces = route.Backend.GenerateAsync(request with { Model = route.Model, Adapter = route.Adapter }, cancellationToken);
        return metrics?.MeasureAsync(
            route.Adapter is null ? request.Model : route.Model, route.Adapter, () => InferenceSpans.Start(request, request.Model, route.OwnedBy), pieces, cancellationToken) ?? pieces;
    }

    /// <exception cref="InferenceException">No such model, or its backend refuses.</exception>
    public Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken)
    {
        var route = Find(model);
        return route.Backend.EmbedAsync(route.Model, inputs, cancellationToken);
    }

    /// <exception cref="InferenceException">No such model, or its backend refuses.</exception>
    public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken)
    {
        var route = Find(model);
        return route.Backend.RerankAsync(route.Model, query, documents, cancellationToken);
    }
}
