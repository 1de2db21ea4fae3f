using System.Text.Json;
using System.Text.RegularExpressions;

namespace ModelOps.Tests.Telemetry;

/// <summary>The expressions of the shipped rules and dashboards, and which metrics and labels they name.</summary>
internal static partial class PromQl
{
    private static readonly HashSet<string> words = new(["and", "or", "unless", "on", "by", "without", "ignoring", "offset", "bool", "group_left", "group_right"], StringComparer.Ordinal);

    /// <summary>From a rules file: what is recorded under which name; null: an alert.</summary>
    public static IEnumerable<(string? Recorded, string Expression)> OfRules(string text)
    {
        string? recorded = null;
        var lines = text.Split('\n');
        for (var i = 0; i < lines.Length; i++)
        {
            if (RuleLine().Match(lines[i]) is { Success: true } rule) recorded = rule.Groups["kind"].Value == "record" ? rule.Groups["name"].Value : null;
            if (ExpressionLine().Match(lines[i]) is not { Success: true } line) continue;
            var indent = line.Groups["indent"].Length;
            var rest = lines.Skip(i + 1).TakeWhile(next => next.Length > indent && next[..(indent + 1)].Trim().Length == 0);
            yield return (recorded, line.Groups["text"].Value is ">-" ? string.Join(' ', rest.Select(part => part.Trim())) : line.Groups["text"].Value);
        }
    }

    /// <summary>From a dashboard: its panels' queries.</summary>
    public static IEnumerable<string> OfDashboard(JsonElement dashboard) => dashboard.GetProperty("panels").EnumerateArray()
        .Where(panel => panel.TryGetProperty("targets", out _)).SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
        .Select(target => target.GetProperty("expr").GetString()!);

    /// <returns>Each metric with the labels that its selector names, and the labels that the expression groups by.</returns>
    public static (IReadOnlyList<(string Metric, IReadOnlyList<string> Labels)> Selectors, IReadOnlyList<string> Grouped) NamesIn(string expression)
    {
        var unquoted = Quoted().Replace(expression, "\"\"");
        var grouped = Grouping().Matches(unquoted).SelectMany(match => match.Groups["labels"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).ToList();
        var bare = Duration().Replace(Grouping().Replace(unquoted, " "), " ");
        return (
            [
                .. Selector().Matches(bare).Where(match => !words.Contains(match.Groups["name"].Value))
                    .Select(match => (match.Groups["name"].Value, (IReadOnlyList<string>)[.. Label().Matches(match.Groups["labels"].Value).Select(label => label.Groups["name"].Value)])),
            ],
            grouped);
    }

    [GeneratedRegex("^ *- (?<kind>record|alert): *(?<name>[^ ]+)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex RuleLine();

    [GeneratedRegex("^(?<indent> *)expr: *(?<text>.+)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ExpressionLine();

    [GeneratedRegex("\"([^\"\\\\]|\\\\.)*\"", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"\b(by|on|without|ignoring) *\((?<labels>[^)]*)\)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Grouping();

    [GeneratedRegex(@"\[[0-9smhd]+\]|\boffset +[0-9]+[smhd]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Duration();

    // Not a number's end, not a function.
    [GeneratedRegex(@"(?<![\w:.])(?<name>[a-zA-Z_][\w:]*)(?![\w:])( *\{(?<labels>[^}]*)\})?(?! *\()", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Selector();

    [GeneratedRegex("(?<name>[a-zA-Z_]+) *(=~|!~|!=|=)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Label();
}
