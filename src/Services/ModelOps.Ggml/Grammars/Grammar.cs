using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelOps.Ggml;

/// <summary>What is asked of a GBNF text before llama.cpp's parser sees it, which descends by recursion and stops at a NUL.</summary>
internal static partial class Grammar
{
    public const int MaxLength = 256 * 1024;
    public const int MaxRules = 4000;
    public const int MaxDepth = 200;

    /// <exception cref="ArgumentException">The grammar is too large, too deep, or has a NUL character.</exception>
    public static void CheckSize(string grammar)
    {
        var errors = new List<string>();
        if (grammar.Length > MaxLength) errors.Add($"it has {grammar.Length} characters, of at most {MaxLength}");
        if (grammar.Contains('\0', StringComparison.Ordinal)) errors.Add("it has a NUL character");
        var rules = RuleMark().Count(grammar);
        if (rules > MaxRules) errors.Add($"it has {rules} rules, of at most {MaxRules}");
        var depth = Depth(grammar);
        if (depth > MaxDepth) errors.Add($"its parentheses are {depth} deep, of at most {MaxDepth}");
        if (errors.Count > 0)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"The grammar is wrong: {string.Join("; ", errors)}."), nameof(grammar));
    }

    // Those in literals count too: an upper bound is enough.
    private static int Depth(string grammar)
    {
        var (depth, deepest) = (0, 0);
        foreach (var character in grammar)
        {
            if (character == '(') deepest = Math.Max(deepest, ++depth);
            else if (character == ')') depth = Math.Max(0, depth - 1);
        }
        return deepest;
    }

    [GeneratedRegex("::=", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RuleMark();
}
