using ModelOps.Training.Plugins;

namespace ExamplePlugin;

/// <summary>F1 of the words that answer and reference share, however they are ordered (Rajpurkar et al. 2016); words are what white space parts.</summary>
public sealed class WordF1 : MetricPlugin
{
    public override string Name => "word_f1";

    public override double Apply(MetricContext context)
    {
        var (answer, reference) = (Words(context.Answer), Words(context.Reference));
        var shared = answer.Sum(word => Math.Min(word.Value, reference.GetValueOrDefault(word.Key)));
        return shared == 0 ? 0 : 2.0 * shared / (answer.Values.Sum() + reference.Values.Sum());
    }

    private static Dictionary<string, int> Words(string text) =>
        text.ToLowerInvariant().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).CountBy(word => word).ToDictionary();
}
