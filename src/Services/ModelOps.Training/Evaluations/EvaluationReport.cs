using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Training.Evaluations;

/// <summary>A metric over rows, with its 95 % bootstrap interval.</summary>
/// <param name="Rows">Rows that it could be measured in.</param>
public sealed record MetricEstimate(double Value, double Low, double High, int Rows);

/// <summary>A metric of the candidate, and of what it is compared with.</summary>
/// <param name="Difference">Candidate − base on the rows that both were measured in, resampled in pairs; null where nothing is compared or no row is shared.</param>
public sealed record MetricReport(string Name, MetricEstimate Candidate, MetricEstimate? Base = null, MetricEstimate? Difference = null);

/// <summary>All metrics, in the order of their selection. One that could be measured in no row is left out.</summary>
public sealed record EvaluationReport(IReadOnlyList<MetricReport> Metrics)
{
    /// <param name="base">Of the same rows; null: nothing is compared.</param>
    /// <param name="seed">Of the bootstrap.</param>
    public static EvaluationReport Of(IEnumerable<string> metrics, IReadOnlyList<RowScores> candidate, IReadOnlyList<RowScores>? @base, int seed) =>
        new([.. metrics.Select(metric => Report(metric, candidate, @base, seed)).OfType<MetricReport>()]);

    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, EvaluationJson.Default.EvaluationReport);

    private static MetricReport? Report(string metric, IReadOnlyList<RowScores> candidate, IReadOnlyList<RowScores>? @base, int seed)
    {
        if (Estimate(metric, candidate, seed) is not { } measured) return null;
        if (@base is null) return new(metric, measured);
        var pairs = candidate.Zip(@base)
            .Where(pair => pair.First.Values.ContainsKey(metric) && pair.Second.Values.ContainsKey(metric))
            .Select(pair => (Candidate: pair.First.Values[metric], Base: pair.Second.Values[metric])).ToList();
        return new(metric, measured, Estimate(metric, @base, seed), Difference(metric, [.. pairs.Select(pair => pair.Candidate)], [.. pairs.Select(pair => pair.Base)], seed));
    }

    private static MetricEstimate? Estimate(string metric, IReadOnlyList<RowScores> scores, int seed)
    {
        RowValue[] rows = [.. scores.Where(row => row.Values.ContainsKey(metric)).Select(row => row.Values[metric])];
        if (rows.Length == 0) return null;
        var (low, high) = Bootstrap.Of(rows, Transform(metric), seed);
        return new(Transform(metric)(Bootstrap.Mean(rows)), low, high, rows.Length);
    }

    private static MetricEstimate? Difference(string metric, RowValue[] candidate, RowValue[] @base, int seed)
    {
        if (candidate.Length == 0) return null;
        var transform = Transform(metric);
        var (low, high) = Bootstrap.OfDifference(candidate, @base, transform, seed);
        return new(transform(Bootstrap.Mean(candidate)) - transform(Bootstrap.Mean(@base)), low, high, candidate.Length);
    }

    private static Func<double, double> Transform(string metric) => mean => LikelihoodMetrics.FromMean(metric, mean);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(EvaluationReport))]
internal sealed partial class EvaluationJson : JsonSerializerContext;
