using ModelOps.Training.Plugins;

namespace ModelOps.Training.Evaluations;

/// <summary>Metrics of the model's own probabilities; what judges its words is a <see cref="MetricPlugin"/>.</summary>
public static class LikelihoodMetrics
{
    /// <summary>Nats per learned token, as training measures them.</summary>
    public const string Loss = "loss";

    /// <summary>e to the loss.</summary>
    public const string Perplexity = "perplexity";

    /// <summary>Share of the rows in which the right choice is the most likely one as a whole.</summary>
    public const string ChoiceAccuracy = "choice_accuracy";

    /// <summary>The same by likelihood per byte of the choice's text, so that short choices have no advantage.</summary>
    public const string ChoiceAccuracyNormalized = "choice_accuracy_norm";

    public static IReadOnlyList<string> All { get; } = [Loss, Perplexity, ChoiceAccuracy, ChoiceAccuracyNormalized];

    /// <summary>Metrics that are better when they are lower.</summary>
    public static IReadOnlyList<string> Costs { get; } = [Loss, Perplexity];

    /// <summary>From the mean over rows to the metric.</summary>
    internal static double FromMean(string metric, double mean) => metric == Perplexity ? Math.Exp(mean) : mean;
}

/// <summary>The metrics of an evaluation, found and checked.</summary>
/// <param name="Likelihood">Of <see cref="LikelihoodMetrics"/>.</param>
/// <param name="Judges">By the name that the report has them under.</param>
public sealed record MetricSelection(IReadOnlyList<string> Likelihood, IReadOnlyDictionary<string, ChosenAlgorithm<MetricPlugin>> Judges)
{
    private static readonly string[] ofAnswers = [LikelihoodMetrics.Loss, LikelihoodMetrics.Perplexity, "exact_match", "rouge_l"];

    /// <summary>In the order of the report.</summary>
    public IEnumerable<string> Names => Likelihood.Concat(Judges.Keys);

    public bool NeedsLoss => Likelihood.Any(LikelihoodMetrics.Costs.Contains);

    public bool NeedsChoices => Likelihood.Except(LikelihoodMetrics.Costs).Any();

    public bool NeedsAnswers => Judges.Count > 0;

    /// <param name="wanted">Names, of plugins with their options; none: what fits the rows.</param>
    /// <exception cref="EvaluationFailedException">One is unknown, named twice, or has nothing to measure in these rows; names all of it.</exception>
    public static MetricSelection Of(IReadOnlyList<string> wanted, IReadOnlyList<EvaluationExample> rows, AlgorithmRegistry algorithms)
    {
        if (wanted.Count == 0) wanted = Fitting(rows);
        List<string> faults = [], likelihood = [];
        Dictionary<string, ChosenAlgorithm<MetricPlugin>> judges = [];
        foreach (var metric in wanted)
        {
            if (LikelihoodMetrics.All.Contains(metric)) likelihood.Add(metric);
            else if (algorithms.Choose<MetricPlugin>(AlgorithmKind.Metric, metric, faults) is { } judge) judges.TryAdd(judge.Plugin.Name, judge);
        }
        if (faults.Count > 0) faults.Add($"measured by likelihood are {string.Join(", ", LikelihoodMetrics.All)}");
        var selection = new MetricSelection([.. likelihood.Distinct()], judges);
        if (selection.NeedsChoices && rows.All(row => row.Choices is null))
            faults.Add("none of the rows is multiple choice: see docs/evaluation.md for what is taken for it");
        return faults.Count == 0 ? selection : throw new EvaluationFailedException(string.Join("; ", faults));
    }

    private static string[] Fitting(IReadOnlyList<EvaluationExample> rows) =>
        rows.All(row => row.Choices is not null) ? [.. LikelihoodMetrics.All]
        : rows.Any(row => row.Choices is not null) ? [.. ofAnswers, LikelihoodMetrics.ChoiceAccuracy, LikelihoodMetrics.ChoiceAccuracyNormalized]
        : ofAnswers;
}

/// <summary>An evaluation cannot be made for a reason that the message explains, with what to do.</summary>
public sealed class EvaluationFailedException(string message, Exception? cause = null) : Exception(message, cause);
