using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;

namespace ModelOps.Inference;

/// <summary>How generations fare, per model and adapter, whichever backend answers; OpenTelemetry's units.</summary>
public sealed class InferenceMetrics : IDisposable
{
    public const string MeterName = "ModelOps.Inference";
    private readonly TimeProvider time;
    private readonly Meter meter;
    private readonly Histogram<double> duration;
    private readonly Histogram<double> firstToken;
    private readonly Histogram<double> interToken;
    private readonly Histogram<double> queue;
    private readonly Histogram<double> tokenRate;
    private readonly Histogram<double> coldStart;
    private readonly Counter<long> tokens;
    private readonly UpDownCounter<long> active;

    public InferenceMetrics(IMeterFactory meters, TimeProvider time)
    {
        this.time = time;
        Recent = new RecentGenerations(time);
        meter = meters.Create(MeterName);
        duration = Seconds("request.duration", "A whole generation, or until it failed.", [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]);
        firstToken = Seconds("time_to_first_token", "From the request to the first piece of its answer.", [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]);
        interToken = Seconds("inter_token_latency", "Between two pieces of an answer.", [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1]);
        queue = Seconds("queue.duration", "Until a slot was free.", [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60]);
        coldStart = Seconds("cold_start.duration", "Bringing the weights of a model back into memory for a request.", [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]);
        tokenRate = meter.CreateHistogram(
            "modelops.inference.token_rate", "{token}/s", "Tokens per second of one answer, from its first token on.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280] });
        tokens = meter.CreateCounter<long>("modelops.inference.tokens", "{token}", "Tokens by type: prompt, those of it that the prefix cache had as cached, completion.");
        active = meter.CreateUpDownCounter<long>("modelops.inference.requests.active", "{request}", "Generations under way, those that wait for a slot too.");
    }

    /// <summary>What was measured last.</summary>
    public RecentGenerations Recent { get; }

    public void Dispose() => meter.Dispose();

    /// <param name="adapter">Null: the model itself.</param>
    /// <param name="trace">Begins the generation's span, in which it is asked for.</param>
    internal async IAsyncEnumerable<GenerationPiece> MeasureAsync(
        string model, string? adapter, Func<Activity?> trace, IAsyncEnumerable<GenerationPiece> pieces, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var tags = new TagList { { "model", model }, { "adapter", adapter ?? "" } };
        var recent = Recent.Of(model, adapter);
        var started = time.GetTimestamp();
        long? last = null;
        var outcome = "cancelled"; // what it is if nobody reads on
        var (counted, usage) = (0, (TokenUsage?)null);
        active.Add(1, tags);
        recent.Begin();
        using var span = trace();
        var source = pieces.GetAsyncEnumerator(cancellationToken);
        await using var owned = source.ConfigureAwait(false);
        try
        {
            while (true)
            {
                try
                {
                    if (!await source.MoveNextAsync().ConfigureAwait(false)) break;
                }
                catch (InferenceException e)
                {
                    outcome = e.Error.ToString();
                    span?.SetTag("error.type", outcome).SetStatus(ActivityStatusCode.Error, e.Message);
                    throw;
                }
                var now = time.GetTimestamp();
                var wait = time.GetElapsedTime(last ?? started, now);
                var count = source.Current.IsEmpty ? 0 : 1; // where another server answers a piece may have several; their number comes at the end
                recent.Piece(wait, isFirst: last is null, count);
                counted += count;
                if (last is not null) interToken.Record(wait.TotalSeconds, tags);
                else
                {
                    firstToken.Record(wait.TotalSeconds, tags);
                    span?.AddEvent(new ActivityEvent("first_token", time.GetUtcNow()));
                }
                last = now;
                if (source.Current.Finish is not null)
                {
                    (outcome, usage) = ("", source.Current.Usage);
                    Record(source.Current, tags);
                    span.End(source.Current);
                }
                yield return source.Current;
            }
        }
        finally
        {
            active.Add(-1, tags);
            recent.End(usage, uncounted: usage is null ? 0 : usage.CompletionTokens - counted, failed: outcome is not ("" or "cancelled"));
            if (outcome.Length > 0) tags.Add("error.type", outcome);
            duration.Record(time.GetElapsedTime(started).TotalSeconds, tags);
        }
    }

    private void Record(GenerationPiece end, TagList tags)
    {
        if (end.Usage is { } usage)
        {
            Count("prompt", usage.PromptTokens, tags);
            Count("cached", usage.CachedPromptTokens, tags);
            Count("completion", usage.CompletionTokens, tags);
            if (end.Times is { Decode.Ticks: > 0 } decoded && usage.CompletionTokens > 1)
                tokenRate.Record((usage.CompletionTokens - 1) / decoded.Decode.TotalSeconds, tags);
        }
        if (end.Times is not { } times) return;
        queue.Record(times.Queue.TotalSeconds, tags);
        if (times.Load > TimeSpan.Zero) coldStart.Record(times.Load.TotalSeconds, tags);
    }

    private void Count(string type, int count, TagList tags)
    {
        tags.Add("token.type", type); // a copy's own
        tokens.Add(count, tags);
    }

    private Histogram<double> Seconds(string name, string description, double[] boundaries) => meter.CreateHistogram(
        $"modelops.inference.{name}", "s", description, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = boundaries });
}
