using System.Text;
using ModelOps.Training.Plugins;

namespace ModelOps.Training.Evaluations.Metrics;

/// <summary>
/// ROUGE-L (Lin 2004): with the longest common subsequence of words, P = LCS / words of the answer, R = LCS / words of the reference, and the
/// score 2 P R / (P + R), from 0 to 1; 0 where one of them has no word. Words are runs of letters and digits after the normalization of <see cref="ExactMatch"/>, not stemmed; of
/// scripts that put no spaces between words (Han, kana, Thai, Lao, Burmese, Khmer) each letter is a word.
/// </summary>
public sealed class RougeL : MetricPlugin
{
    public override string Name => "rouge_l";

    public override double Apply(MetricContext context) => F1(Words(context.Answer), Words(context.Reference));

    public static double F1(IReadOnlyList<string> answer, IReadOnlyList<string> reference)
    {
        var common = LongestCommonSubsequence(answer, reference);
        return common == 0 ? 0 : 2.0 * common / (answer.Count + reference.Count); // 2PR / (P + R) with both written out
    }

    public static IReadOnlyList<string> Words(string text)
    {
        List<string> words = [];
        var word = new StringBuilder();
        foreach (var rune in ExactMatch.Normalize(text).EnumerateRunes())
        {
            if (Rune.IsLetterOrDigit(rune) && !StandsAlone(rune))
            {
                word.Append(rune.ToString());
                continue;
            }
            End();
            if (Rune.IsLetterOrDigit(rune)) words.Add(rune.ToString());
        }
        End();
        return words;

        void End()
        {
            if (word.Length > 0) words.Add(word.ToString());
            word.Clear();
        }
    }

    public static int LongestCommonSubsequence(IReadOnlyList<string> left, IReadOnlyList<string> right)
    {
        var lengths = new int[right.Count + 1];
        foreach (var word in left)
        {
            var diagonal = 0;
            for (var i = 1; i <= right.Count; i++)
                (diagonal, lengths[i]) = (lengths[i], word == right[i - 1] ? diagonal + 1 : Math.Max(lengths[i], lengths[i - 1]));
        }
        return lengths[^1];
    }

    /// <summary>Han, kana, and the scripts of Southeast Asia that write words together.</summary>
    private static bool StandsAlone(Rune rune) => rune.Value is
        (>= 0x0E00 and <= 0x0EFF) or (>= 0x1000 and <= 0x109F) or (>= 0x1780 and <= 0x17FF)
        or (>= 0x3040 and <= 0x30FF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x4E00 and <= 0x9FFF) or (>= 0x20000 and <= 0x3FFFF);
}
