using System.Collections.Concurrent;

namespace ModelOps.Inference;

/// <summary>The last minutes of each model and adapter, for people who look now; what is to be kept goes the way of the metrics.</summary>
public sealed class RecentGenerations(TimeProvider time)
{
    /// <summary>Length of a <see cref="RecentStep"/>.</summary>
    public const int StepSeconds = 5;

    private readonly ConcurrentDictionary<(string Model, string? Adapter), RecentSeries> all = new();

    /// <param name="adapter">Null: the model itself.</param>
    public RecentActivity Get(string model, string? adapter) => (all.GetValueOrDefault((model, adapter)) ?? new RecentSeries(time)).Read();

    internal RecentSeries Of(string model, string? adapter)
    {
        if (all.TryGetValue((model, adapter), out var series)) return series;
        foreach (var idle in all.Where(one => one.Value.IsIdle)) all.TryRemove(idle); // of models that are gone, most of all
        return all.GetOrAdd((model, adapter), _ => new RecentSeries(time));
    }
}

/// <summary>The last five minutes of a model or an adapter.</summary>
/// <param name="Active">Generations under way.</param>
/// <param name="Ended">Generations that ended, with those that <paramref name="Failed"/>.</param>
/// <param name="TimeToFirstToken">Null: no answer began.</param>
/// <param name="InterToken">Between two pieces of an answer; null: there were none.</param>
/// <param name="TokensPerSecond">Of all answers together, over the last ten seconds.</param>
/// <param name="Steps">Oldest first, without the one that is under way.</param>
public sealed record RecentActivity(
    int Active, long Ended, long Failed, Latencies? TimeToFirstToken, Latencies? InterToken, double TokensPerSecond, TokenUsage Tokens, IReadOnlyList<RecentStep> Steps);

/// <param name="At">Its beginning.</param>
/// <param name="TimeToFirstToken">The median; null: no answer began in it.</param>
public sealed record RecentStep(DateTimeOffset At, double TokensPerSecond, TimeSpan? TimeToFirstToken);

/// <summary>A ring of steps of five seconds: what it takes does not grow with the requests.</summary>
internal sealed class RecentSeries(TimeProvider time)
{
    private const int StepSeconds = RecentGenerations.StepSeconds;
    private const int Kept = 60;
    private const int SpeedSteps = 2;
    private readonly Lock gate = new();
    private readonly Step[] ring = [.. Enumerable.Range(0, Kept + 1).Select(_ => new Step())];
    private int active;

    /// <summary>Nothing is under way and nothing was for as long as is told of.</summary>
    public bool IsIdle
    {
        get
        {
            lock (gate) return active == 0 && Array.TrueForAll(ring, step => step.Number < Now() - Kept);
        }
    }

    public void Begin()
    {
        lock (gate)
        {
            active++;
            _ = Current(); // so that it is not idle
        }
    }

    /// <param name="wait">Since the request, or since the piece before.</param>
    public void Piece(TimeSpan wait, bool isFirst, int tokens)
    {
        lock (gate)
        {
            var step = Current();
            (isFirst ? step.First : step.Next).Add(wait);
            step.Tokens += tokens;
        }
    }

    /// <param name="uncounted">Tokens beside those that the pieces were counted for; negative if they were fewer.</param>
    public void End(TokenUsage? usage, int uncounted, bool failed)
    {
        lock (gate)
        {
            var step = Current();
            active--;
            step.Ended++;
            if (failed) step.Failed++;
            step.Tokens += uncounted;
            if (usage is null) return;
            step.Prompt += usage.PromptTokens;
            step.Cached += usage.CachedPromptTokens;
            step.Completion += usage.CompletionTokens;
        }
    }

    public RecentActivity Read()
    {
        lock (gate)
        {
            var now = Now();
            var told = ring.Where(step => step.Number >= now - Kept && step.Number <= now).ToList();
            var elapsed = time.GetUtcNow().ToUnixTimeMilliseconds() / 1000d - now * StepSeconds;
            return new RecentActivity(
                active, told.Sum(step => step.Ended), told.Sum(step => step.Failed), Latencies.Of(told.Select(step => step.First)), Latencies.Of(told.Select(step => step.Next)),
                Math.Max(0, told.Where(step => step.Number >= now - SpeedSteps).Sum(step => step.Tokens)) / (SpeedSteps * StepSeconds + elapsed),
                new TokenUsage(told.Sum(step => step.Prompt), told.Sum(step => step.Completion), told.Sum(step => step.Cached)),
                [.. Enumerable.Range(0, Kept).Select(i => now - Kept + i).Select(number => Told(number, told.Find(step => step.Number == number)))]);
        }
    }

    private static RecentStep Told(long number, Step? step) => new(
        DateTimeOffset.FromUnixTimeSeconds(number * StepSeconds), Math.Max(0, step?.Tokens ?? 0) / (double)StepSeconds, step is null ? null : Latencies.Of([step.First])?.Median);

    private long Now() => time.GetUtcNow().ToUnixTimeSeconds() / StepSeconds;

    private Step Current()
    {
        var number = Now();
        ref var step = ref ring[number % ring.Length];
        if (step.Number != number) step = new Step { Number = number };
        return step;
    }

    private sealed class Step
    {
        public long Number { get; init; } = long.MinValue;
        public long Ended { get; set; }
        public long Failed { get; set; }
        public int Tokens { get; set; }
        public int Prompt { get; set; }
        public int Cached { get; set; }
        public int Completion { get; set; }
        public LatencyHistogram First { get; } = new();
        public LatencyHistogram Next { get; } = new();
    }
}
