using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelOps.Recipes;

/// <summary>An algorithm by its name, with what is set of it: <c>focal</c>, or <c>focal(gamma=2)</c>.</summary>
/// <param name="Options">Those that are set; the others have their defaults.</param>
public sealed partial record AlgorithmChoice(string Name, IReadOnlyDictionary<string, double> Options)
{
    internal const string Pattern = @"^[a-z][a-z0-9_]*(\( *[a-z][a-z0-9_]* *= *[^ ,()=]+ *(, *[a-z][a-z0-9_]* *= *[^ ,()=]+ *)*\))?$";

    /// <returns>Null if the text is no choice: another form, a number that is none, or an option twice.</returns>
    public static AlgorithmChoice? TryParse(string text)
    {
        if (!Form().IsMatch(text)) return null;
        if (text.IndexOf('(', StringComparison.Ordinal) is var open && open < 0) return new(text, new Dictionary<string, double>());
        var options = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var option in text[(open + 1)..^1].Split(','))
        {
            var (name, value) = option.Split('=') is [var n, var v] ? (n.Trim(), v.Trim()) : throw new InvalidOperationException("the form has one '=' an option");
            if (!double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) || !double.IsFinite(number) || !options.TryAdd(name, number)) return null;
        }
        return new(text[..open], options);
    }

    [GeneratedRegex(Pattern, RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Form();
}
