using ModelOps.Client;
using ModelOps.Studio.Shell;

namespace ModelOps.Studio.Artifacts;

internal static class ArtifactText
{
    public static string ReferenceOf(Artifact artifact) => $"{artifact.Name}@{artifact.Version}";

    public static string PathOf(Artifact artifact) => PathOf(ReferenceOf(artifact));

    public static string PathOf(string reference) => $"artifacts/{Uri.EscapeDataString(reference)}";

    private static readonly (string Metric, string Label)[] main =
        [("validation_loss", "loss"), ("perplexity", "perplexity"), ("kl_divergence", "KL divergence"), ("bits_per_weight", "bits per weight")];

    /// <summary>What one looks at first: the best known metrics, or the first ones.</summary>
    public static string MainMetrics(Artifact artifact)
    {
        var known = main.Where(one => artifact.Metrics.ContainsKey(one.Metric)).ToList();
        if (known.Count == 0) known = [.. artifact.Metrics.Keys.Select(name => (name, Human.Words(name)))];
        return string.Join(", ", known.Take(2).Select(one => $"{one.Label} {Human.Metric(artifact.Metrics[one.Metric])}"));
    }

    /// <summary>Where a promotion would take it; null: nowhere.</summary>
    public static string? NextStage(string stage) => stage switch
    {
        "DEV" => "STAGING",
        "STAGING" => "PRODUCTION",
        _ => null,
    };
}
