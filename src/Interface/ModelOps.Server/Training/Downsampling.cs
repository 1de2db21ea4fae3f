using ModelOps.Client;

namespace ModelOps.Server.Training;

/// <summary>
/// Largest triangle three buckets (Steinarsson 2013): of each bucket of neighbours the point is kept that makes the largest triangle with the one
/// kept before and the mean of the next bucket, so that a curve keeps its shape and its spikes.
/// </summary>
public static class Downsampling
{
    public const int Least = 3;

    /// <param name="count">At least <see cref="Least"/>.</param>
    /// <returns>At most that many of the points, the first and the last among them.</returns>
    public static IReadOnlyList<MetricValue> Reduce(IReadOnlyList<MetricValue> points, int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, Least);
        if (points.Count <= count) return points;
        var width = (points.Count - 2) / (double)(count - 2);
        int Start(int bucket) => Math.Min((int)(bucket * width) + 1, points.Count - 1);
        List<MetricValue> kept = [points[0]];
        for (var bucket = 0; bucket < count - 2; bucket++)
        {
            var (from, to) = (Start(bucket), Start(bucket + 1));
            var next = bucket == count - 3 ? [points[^1]] : points.Take(to..Start(bucket + 2)).ToList();
            var (step, value) = (next.Average(point => point.Step), next.Average(point => point.Value));
            var before = kept[^1];
            kept.Add(points.Take(from..to).MaxBy(point => Math.Abs(((before.Step - step) * (point.Value - before.Value)) - ((before.Step - point.Step) * (value - before.Value))))!);
        }
        kept.Add(points[^1]);
        return kept;
    }
}
