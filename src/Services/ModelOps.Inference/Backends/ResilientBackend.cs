using System.Runtime.CompilerServices;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace ModelOps.Inference;

/// <summary>How long a backend is waited for, and how often it is asked.</summary>
public sealed record BackendPatience
{
    /// <summary>To the first piece of an answer, or to a whole answer without pieces; of each try.</summary>
    public required TimeSpan FirstToken { get; init; }

    /// <summary>From one piece of an answer to the next.</summary>
    public required TimeSpan NextToken { get; init; }

    /// <summary>Further tries of a request whose answer has not begun.</summary>
    public required int Retries { get; init; }

    /// <summary>Failures, all tries within half a minute counted and half of them failed, after which it is left alone.</summary>
    public required int BreakAfter { get; init; }

    /// <summary>How long it is left alone.</summary>
    public required TimeSpan BreakFor { get; init; }
}

/// <summary>
/// A backend over a network that fails: tries again as long as nothing of the answer came, gives up what takes too long, and after failures in a row refuses
/// at once instead of letting every request wait. What a refusal of the request itself says is passed on: it counts neither as failure nor is it tried again.
/// </summary>
public sealed class ResilientBackend : IInferenceBackend
{
    private static readonly TimeSpan sampling = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan firstPause = TimeSpan.FromMilliseconds(100);
    private readonly IInferenceBackend inner;
    private readonly string name;
    private readonly BackendPatience patience;
    private readonly TimeProvider time;
    private readonly ResiliencePipeline pipeline;

    public ResilientBackend(IInferenceBackend inner, string name, BackendPatience patience, TimeProvider time)
    {
        (this.inner, this.name, this.patience, this.time) = (inner, name, patience, time);
        var builder = new ResiliencePipelineBuilder { TimeProvider = time };
        if (patience.Retries > 0)
            builder.AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = patience.Retries,
                Delay = firstPause,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = new PredicateBuilder().Handle<InferenceException>(IsDown),
            });
        pipeline = builder
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions
            {
                FailureRatio = 0.5,
                MinimumThroughput = patience.BreakAfter,
                SamplingDuration = sampling,
                BreakDuration = patience.BreakFor,
                ShouldHandle = new PredicateBuilder().Handle<InferenceException>(IsDown).Handle<TimeoutRejectedException>(),
            })
            .AddTimeout(patience.FirstToken)
            .Build();
    }

    public async IAsyncEnumerable<GenerationPiece> GenerateAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var life = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var pieces = await ExecuteAsync(token => BeginAsync(request, life, token), cancellationToken).ConfigureAwait(false);
        await using (pieces.ConfigureAwait(false))
        {
            do yield return pieces.Current;
            while (await NextAsync(pieces, life, cancellationToken).ConfigureAwait(false));
        }
    }

    public Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken) =>
        ExecuteAsync(token => inner.EmbedAsync(model, inputs, token), cancellationToken);

    public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken) =>
        ExecuteAsync(token => inner.RerankAsync(model, query, documents, token), cancellationToken);

    /// <summary>The answer at its first piece.</summary>
    /// <param name="life">Of the whole answer; the token is this try's alone.</param>
    private async Task<Attempt> BeginAsync(GenerationRequest request, CancellationTokenSource life, CancellationToken token)
    {
        var attempt = new Attempt(inner, request, life.Token);
        try
        {
            bool any;
            using (token.Register(attempt.Cancel)) any = await attempt.MoveNextAsync().ConfigureAwait(false);
            return any ? attempt : throw new InferenceException(InferenceError.Unavailable, $"the backend '{name}' answered nothing");
        }
        catch (Exception e)
        {
            await attempt.DisposeAsync().ConfigureAwait(false);
            if (e is OperationCanceledException) token.ThrowIfCancellationRequested(); // the token's own, for the timeout to know it
            throw;
        }
    }

    private async Task<bool> NextAsync(IAsyncEnumerator<GenerationPiece> pieces, CancellationTokenSource life, CancellationToken cancellationToken)
    {
        var late = time.CreateTimer(static state => ((CancellationTokenSource)state!).Cancel(), life, patience.NextToken, Timeout.InfiniteTimeSpan);
        await using (late.ConfigureAwait(false))
        {
            try
            {
                return await pieces.MoveNextAsync().ConfigureAwait(false);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw new InferenceException(InferenceError.Unavailable, $"the backend '{name}' fell silent within its answer for {patience.NextToken.TotalSeconds:0.###} s", e);
            }
        }
    }

    private async Task<T> ExecuteAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await pipeline.ExecuteAsync(async token => await call(token).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutRejectedException e)
        {
            throw new InferenceException(InferenceError.Unavailable, $"the backend '{name}' did not begin to answer within {patience.FirstToken.TotalSeconds:0.###} s", e);
        }
        catch (BrokenCircuitException e)
        {
            throw new InferenceException(
                InferenceError.Unavailable, $"the backend '{name}' failed again and again; it is asked again in {(e.RetryAfter ?? patience.BreakFor).TotalSeconds:0.###} s", e)
            {
                RetryAfter = e.RetryAfter,
            };
        }
    }

    private static bool IsDown(InferenceException e) => e.Error == InferenceError.Unavailable;

    /// <summary>A try's answer, which can be given up alone.</summary>
    private sealed class Attempt : IAsyncEnumerator<GenerationPiece>
    {
        private readonly CancellationTokenSource source;
        private readonly IAsyncEnumerator<GenerationPiece> pieces;

        public Attempt(IInferenceBackend backend, GenerationRequest request, CancellationToken life)
        {
            source = CancellationTokenSource.CreateLinkedTokenSource(life);
            pieces = backend.GenerateAsync(request, source.Token).GetAsyncEnumerator(source.Token);
        }

        public GenerationPiece Current => pieces.Current;

        public void Cancel() => source.Cancel();

        public ValueTask<bool> MoveNextAsync() => pieces.MoveNextAsync();

        public async ValueTask DisposeAsync()
        {
            await pieces.DisposeAsync().ConfigureAwait(false);
            source.Dispose();
        }
    }
}
