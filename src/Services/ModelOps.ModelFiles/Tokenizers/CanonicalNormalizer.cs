using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>
/// Unicode normalization forms C and D (UAX #15). <see cref="string.Normalize()"/> returns its input unchanged where globalization is
/// invariant, as it is here, so that a tokenizer which normalizes would silently give other tokens than the model was trained on.
/// </summary>
public static class CanonicalNormalizer
{
    private const char FirstDecomposable = '\u00C0';
    private const char FirstComposable = '\u0300';
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11A7;
    private const int HangulCount = 11172, LeadCount = 19, VowelCount = 21, TrailCount = 28;

    private static readonly Lazy<Tables> tables = new(Load);

    public static string Normalize(string text, NormalizationForm form)
    {
        var firstChanged = form == NormalizationForm.FormC ? FirstComposable : FirstDecomposable;
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', (char)(firstChanged - 1)) < 0)
            return text;
        var codePoints = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes())
            Decompose(rune.Value, codePoints);
        Order(codePoints);
        if (form == NormalizationForm.FormC)
            Compose(codePoints);
        var result = new StringBuilder(text.Length);
        foreach (var codePoint in codePoints)
            result.Append(new Rune(codePoint).ToString());
        return result.ToString();
    }

    private static void Decompose(int codePoint, List<int> result)
    {
        var syllable = codePoint - HangulBase;
        if (syllable is >= 0 and < HangulCount)
        {
            result.Add(LeadBase + (syllable / (VowelCount * TrailCount)));
            result.Add(VowelBase + (syllable / TrailCount % VowelCount));
            if (syllable % TrailCount > 0)
                result.Add(TrailBase + (syllable % TrailCount));
        }
        else if (tables.Value.Decompositions.TryGetValue(codePoint, out var parts))
        {
            Decompose(parts.First, result);
            if (parts.Second != 0)
                result.Add(parts.Second);
        }
        else
        {
            result.Add(codePoint);
        }
    }

    /// <summary>Sorts each run of combining marks by class; marks of one class keep their order.</summary>
    private static void Order(List<int> codePoints)
    {
        for (var start = 0; start < codePoints.Count; start++)
        {
            var end = start;
            while (end < codePoints.Count && ClassOf(codePoints[end]) > 0)
                end++;
            if (end - start > 1)
            {
                var sorted = codePoints.GetRange(start, end - start).OrderBy(ClassOf).ToList();
                sorted.CopyTo(CollectionsMarshal.AsSpan(codePoints)[start..]);
            }
            start = end;
        }
    }

    /// <summary>Joins each starter with the marks after it that no mark of the same or a higher class keeps apart.</summary>
    private static void Compose(List<int> codePoints)
    {
        var (length, starter, lastClass) = (0, -1, 0);
        foreach (var codePoint in codePoints.ToArray())
        {
            var markClass = ClassOf(codePoint);
            var isBlocked = starter < 0 || (length - starter > 1 && lastClass >= markClass);
            if (!isBlocked && Composed(codePoints[starter], codePoint) is { } composed)
            {
                codePoints[starter] = composed;
                continue;
            }
            if (markClass == 0)
                starter = length;
            lastClass = markClass;
            codePoints[length++] = codePoint;
        }
        codePoints.RemoveRange(length, codePoints.Count - length);
    }

    private static int? Composed(int first, int second)
    {
        if (first is >= LeadBase and < LeadBase + LeadCount && second is >= VowelBase and < VowelBase + VowelCount)
            return HangulBase + ((((first - LeadBase) * VowelCount) + second - VowelBase) * TrailCount);
        if (first is >= HangulBase and < HangulBase + HangulCount && (first - HangulBase) % TrailCount == 0
            && second is > TrailBase and < TrailBase + TrailCount)
            return first + second - TrailBase;
        return tables.Value.Compositions.TryGetValue((first, second), out var composed) ? composed : null;
    }

    private static int ClassOf(int codePoint) =>
        codePoint < FirstComposable ? 0 : tables.Value.Classes.GetValueOrDefault(codePoint);

    private static Tables Load()
    {
        var result = new Tables([], [], []);
        using var stream = typeof(CanonicalNormalizer).Assembly.GetManifestResourceStream("canonical-equivalence.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            if (line.Split(':') is [var marked, var markClass])
            {
                result.Classes.Add(Hex(marked), int.Parse(markClass, CultureInfo.InvariantCulture));
                continue;
            }
            var fields = line.Split(' ');
            var recomposes = fields[^1] != "!";
            var parts = fields[1..(recomposes ? ^0 : ^1)];
            var decomposition = (First: Hex(parts[0]), Second: parts.Length > 1 ? Hex(parts[1]) : 0);
            result.Decompositions.Add(Hex(fields[0]), decomposition);
            if (recomposes)
                result.Compositions.Add(decomposition, Hex(fields[0]));
        }
        return result;
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private sealed record Tables(
        Dictionary<int, (int First, int Second)> Decompositions, Dictionary<(int First, int Second), int> Compositions, Dictionary<int, int> Classes);
}
