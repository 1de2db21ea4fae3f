using System.Runtime.CompilerServices;

namespace ModelOps.Inference;

/// <summary>A model of a deployment in one of its workers.</summary>
/// <param name="model">Its name there.</param>
public sealed class Replica(IInferenceBackend backend, string model)
{
    public IInferenceBackend Backend => backend;

    public string Model => model;

    /// <summary>Requests under way in it; changes under the gate of the <see cref="ReplicaBackend"/>.</summary>
    internal int Active { get; set; }
}

/// <summary>
/// A deployment's replicas as one backend: a request goes to the one with the fewest under way. Where that cannot take it, and has told nothing of the
/// answer yet, the next one does. All requests change to other replicas or adapters at one moment.
/// </summary>
public sealed class ReplicaBackend : IInferenceBackend
{
    private readonly Lock gate = new();
    private IReadOnlyList<Replica> replicas = [];
    private IReadOnlyDictionary<string, string> adapters = new Dictionary<string, string>(StringComparer.Ordinal);
    private string whyDown = "the model is loading; try again in a moment";

    /// <summary>No replica answers.</summary>
    public bool IsDown
    {
        get
        {
            lock (gate) return replicas.Count == 0;
        }
    }

    /// <summary>From now on these answer; what is under way in others goes on there.</summary>
    /// <param name="adapters">By the name that requests use: the one in the workers.</param>
    public void Serve(IReadOnlyList<Replica> replicas, IReadOnlyDictionary<string, string> adapters)
    {
        lock (gate) (this.replicas, this.adapters) = (replicas, adapters);
    }

    /// <summary>None answers: the model is known, and a request may be tried again.</summary>
    /// <param name="reason">Why, for the client.</param>
    public void Hold(string reason)
    {
        lock (gate) (replicas, whyDown) = ([], reason);
    }

    public async IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (turn, pieces) = await AskAsync(request.Adapter, turn => BeginAsync(turn, request, cancellationToken)).ConfigureAwait(false);
        using (turn)
        {
            await using var owned = pieces.ConfigureAwait(false);
            do yield return pieces.Current;
            while (await pieces.MoveNextAsync().ConfigureAwait(false));
        }
    }

    public async Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken)
    {
        var (turn, embeddings) = await AskAsync(adapter: null, turn => turn.Replica.Backend.EmbedAsync(turn.Replica.Model, inputs, cancellationToken)).ConfigureAwait(false);
        using (turn) return embeddings;
    }

    public async Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken)
    {
        var (turn, scores) = await AskAsync(adapter: null, turn => turn.Replica.Backend.RerankAsync(turn.Replica.Model, query, documents, cancellationToken)).ConfigureAwait(false);
        using (turn) return scores;
    }

    /// <returns>The answer with its first piece.</returns>
    private static async Task<IAsyncEnumerator<GenerationPiece>> BeginAsync(Turn turn, GenerationRequest request, CancellationToken cancellationToken)
    {
        var pieces = turn.Replica.Backend.GenerateAsync(request with { Model = turn.Replica.Model, Adapter = turn.Adapter }, cancellationToken).GetAsyncEnumerator(cancellationToken);
        try
        {
            if (await pieces.MoveNextAsync().ConfigureAwait(false)) return pieces;
            throw new InferenceException(InferenceError.Unavailable, "the inference worker ended the answer before it began");
        }
        catch
        {
            await pieces.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task<(Turn Turn, T Answer)> AskAsync<T>(string? adapter, Func<Turn, Task<T>> ask)
    {
        var tried = new List<Turn>();
        InferenceException? failure = null;
        while (true)
        {
            var turn = Take(adapter, tried, failure);
            try
            {
                return (turn, await ask(turn).ConfigureAwait(false));
            }
            catch (InferenceException e) when (IsOfTheReplica(e.Error))
            {
                turn.Dispose();
                tried.Add(turn);
                failure = e;
            }
            catch
            {
                turn.Dispose();
                throw;
            }
        }
    }

    // A model that is not found there was replaced since the turn was taken: now another one, or an adapter of another name, answers for it.
    private static bool IsOfTheReplica(InferenceError error) => error is InferenceError.Unavailable or InferenceError.Busy or InferenceError.ModelNotFound;

    /// <exception cref="InferenceException">None is left that was not tried.</exception>
    private Turn Take(string? adapter, IReadOnlyList<Turn> tried, InferenceException? failure)
    {
        lock (gate)
        {
            var name = adapter is null ? null : adapters.GetValueOrDefault(adapter);
            if (adapter is not null && name is null && replicas.Count > 0)
                throw new InferenceException(InferenceError.ModelNotFound, $"the adapter '{adapter}' is not served any longer; see /v1/models for what is");
            var free = replicas.Where(replica => !tried.Any(turn => turn.Replica == replica && turn.Adapter == name)).MinBy(replica => replica.Active)
                ?? throw failure ?? new InferenceException(InferenceError.Unavailable, whyDown);
            free.Active++;
            return new Turn(this, free, name);
        }
    }

    /// <summary>A replica's work on a request, until it is disposed.</summary>
    private sealed class Turn(ReplicaBackend owner, Replica replica, string? adapter) : IDisposable
    {
        public Replica Replica => replica;

        /// <summary>Its name in the worker.</summary>
        public string? Adapter => adapter;

        public void Dispose()
        {
            lock (owner.gate) replica.Active--;
        }
    }
}
