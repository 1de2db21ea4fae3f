namespace ModelOps.Training.Evaluations;

/// <summary>What one row measured.</summary>
/// <param name="Weight">How much it counts in the mean over rows: the learned tokens of a loss, else 1.</param>
public sealed record RowValue(double Value, double Weight = 1);

/// <param name="Low">2.5th percentile of the resamples.</param>
/// <param name="High">97.5th percentile.</param>
public sealed record Interval(double Low, double High);

/// <summary>
/// Percentile bootstrap (Efron and Tibshirani 1993): the rows are drawn again with replacement, as many as there are, and measured again each time.
/// The same seed draws the same rows.
/// </summary>
public static class Bootstrap
{
    public const int Resamples = 2000;
    public const double Level = 0.95;

    /// <returns>Σ value · weight / Σ weight; NaN without a row.</returns>
    public static double Mean(IReadOnlyList<RowValue> rows) => rows.Sum(row => row.Value * row.Weight) / rows.Sum(row => row.Weight);

    /// <param name="transform">From the mean to the metric, e.g. exp for perplexity; monotone.</param>
    /// <param name="rows">At least one.</param>
    public static Interval Of(IReadOnlyList<RowValue> rows, Func<double, double> transform, int seed) =>
        Percentiles(Draw(rows.Count, seed).Select(drawn => transform(Mean(rows, drawn))));

    /// <summary>Of the difference candidate − base, both measured on the same drawn rows.</summary>
    /// <param name="candidate">At least one; as many as of <paramref name="base"/>, in the same order.</param>
    public static Interval OfDifference(IReadOnlyList<RowValue> candidate, IReadOnlyList<RowValue> @base, Func<double, double> transform, int seed)
    {
        if (candidate.Count != @base.Count) throw new ArgumentException($"{candidate.Count} rows are paired with {@base.Count}", nameof(@base));
        return Percentiles(Draw(candidate.Count, seed).Select(drawn => transform(Mean(candidate, drawn)) - transform(Mean(@base, drawn))));
    }

    private static IEnumerable<int[]> Draw(int count, int seed)
    {
        var random = new Random(seed);
        var drawn = new int[count];
        for (var resample = 0; resample < Resamples; resample++)
        {
            for (var i = 0; i < count; i++) drawn[i] = random.Next(count);
            yield return drawn;
        }
    }

    private static double Mean(IReadOnlyList<RowValue> rows, int[] drawn)
    {
        var (sum, weight) = (0.0, 0.0);
        foreach (var index in drawn)
        {
            sum += rows[index].Value * rows[index].Weight;
            weight += rows[index].Weight;
        }
        return sum / weight;
    }

    private static Interval Percentiles(IEnumerable<double> statistics)
    {
        var sorted = statistics.Order().ToArray();
        return new(At((1 - Level) / 2), At((1 + Level) / 2));

        double At(double share)
        {
            var (position, below) = (share * (sorted.Length - 1), (int)(share * (sorted.Length - 1)));
            var above = Math.Min(below + 1, sorted.Length - 1);
            return sorted[below] + ((position - below) * (sorted[above] - sorted[below]));
        }
    }
}
