using System.Globalization;

namespace ModelOps.Ggml;

/// <summary>The decimal numerals of a range of integers.</summary>
internal static class IntegerRange
{
    /// <summary>2^53 - 1: what a double, and so every JSON reader, keeps exactly.</summary>
    public const long Limit = 9_007_199_254_740_991;

    public static string ToGbnf(long least, long most)
    {
        var parts = new List<string>();
        if (least < 0) parts.AddRange(Positive(Math.Max(1, -Math.Min(most, -1)), -least).Select(part => $"\"-\" {part}"));
        if (least <= 0 && most >= 0) parts.Add("\"0\"");
        if (most > 0) parts.AddRange(Positive(Math.Max(1, least), most));
        return string.Join(" | ", parts);
    }

    // By number of digits, as only those of the same length compare digit by digit.
    private static IEnumerable<string> Positive(long least, long most)
    {
        for (var low = least; low <= most;)
        {
            var digits = low.ToString(CultureInfo.InvariantCulture);
            var high = Math.Min(most, long.Parse(new string('9', digits.Length), CultureInfo.InvariantCulture));
            yield return SameLength(digits, high.ToString(CultureInfo.InvariantCulture));
            low = high + 1;
        }
    }

    private static string SameLength(string low, string high)
    {
        if (low.Length == 0) return "\"\"";
        if (low.All(digit => digit == '0') && high.All(digit => digit == '9')) return $"[0-9]{{{low.Length}}}";
        if (low[0] == high[0]) return $"\"{low[0]}\" {SameLength(low[1..], high[1..])}";
        var (zeros, nines) = (new string('0', low.Length - 1), new string('9', low.Length - 1));
        var parts = new List<string>();
        var (first, last) = (low[0], high[0]);
        if (low[1..] != zeros) parts.Add($"\"{first++}\" {SameLength(low[1..], nines)}");
        if (high[1..] != nines) parts.Add($"\"{last}\" {SameLength(zeros, high[1..])}");
        if (high[1..] != nines) last--;
        if (first <= last) parts.Add($"[{first}-{last}]{(zeros.Length > 0 ? $" [0-9]{{{zeros.Length}}}" : "")}");
        return parts.Count == 1 ? parts[0] : $"({string.Join(" | ", parts)})";
    }
}
