namespace ModelOps.Inference;

/// <param name="Median">Half of them took at most this.</param>
/// <param name="P95">95% of them took at most this.</param>
public sealed record Latencies(TimeSpan Median, TimeSpan P95)
{
    /// <returns>Null: nothing was counted.</returns>
    internal static Latencies? Of(IEnumerable<LatencyHistogram> parts)
    {
        var sum = new LatencyHistogram();
        foreach (var part in parts) sum.Add(part);
        return sum.Count == 0 ? null : new(sum.Quantile(0.5), sum.Quantile(0.95));
    }
}

/// <summary>Latencies from 0.1 ms to 1000 s, counted in ranges that are each a tenth wider than the one before: what is told is at most 5% off.</summary>
internal sealed class LatencyHistogram
{
    private const double Least = 1e-4;
    private const double Growth = 1.1;
    private static readonly int ranges = (int)Math.Ceiling(Math.Log(1e7, Growth)) + 1;
    private int[]? counts;

    public long Count { get; private set; }

    public void Add(TimeSpan latency)
    {
        counts ??= new int[ranges];
        counts[Math.Clamp((int)Math.Floor(Math.Log(Math.Max(latency.TotalSeconds, Least) / Least, Growth)), 0, ranges - 1)]++;
        Count++;
    }

    public void Add(LatencyHistogram other)
    {
        if (other.counts is not { } more) return;
        counts ??= new int[ranges];
        for (var i = 0; i < ranges; i++) counts[i] += more[i];
        Count += other.Count;
    }

    /// <param name="share">Of the latencies that are at most what is returned, from 0 to 1; there must be one.</param>
    public TimeSpan Quantile(double share)
    {
        var (i, below) = (0, counts![0]);
        while (below < share * Count) below += counts[++i];
        return TimeSpan.FromSeconds(Least * Math.Pow(Growth, i + 0.5)); // the middle of the range
    }
}
