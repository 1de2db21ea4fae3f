using System.Text;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Training.Plugins;

namespace ModelOps.Training.Evaluations.Metrics;

/// <summary>
/// 1 where answer and reference are the same text, else 0. The same means in Unicode's normalization form C, in lower case, with one space for
/// every run of white space and none at the ends. Punctuation counts.
/// </summary>
public sealed class ExactMatch : MetricPlugin
{
    public override string Name => "exact_match";

    public override double Apply(MetricContext context) => Normalize(context.Answer) == Normalize(context.Reference) ? 1 : 0;

    public static string Normalize(string text) => string.Join(
        ' ', CanonicalNormalizer.Normalize(text, NormalizationForm.FormC).ToLowerInvariant().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
