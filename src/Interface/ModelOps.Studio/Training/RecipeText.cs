using System.Text.RegularExpressions;

namespace ModelOps.Studio.Training;

/// <summary>
/// The text of a recipe, a key a line. It is the only truth of the form: a field shows its key's value and writes it into the text, where comments
/// and everything else stay as they are. Whether it is a recipe is the server's to say.
/// </summary>
public static partial class RecipeText
{
    /// <returns>Null: the text does not name the key, so that it is chosen from data, model and machine.</returns>
    public static string? Get(string text, string key) =>
        Lines(text).Select(line => Line().Match(line)).FirstOrDefault(found => found.Success && found.Groups["key"].Value == key) is { } match
        && match.Groups["value"].Value.Trim().Trim('"', '\'') is { Length: > 0 } value ? value : null;

    /// <param name="value">Null or empty takes the key out.</param>
    public static string Set(string text, string key, string? value)
    {
        var lines = Lines(text).ToList();
        var at = lines.FindIndex(line => Line().Match(line) is { Success: true } found && found.Groups["key"].Value == key);
        if (string.IsNullOrWhiteSpace(value))
        {
            if (at >= 0) lines.RemoveAt(at);
        }
        else if (at < 0) lines.Insert(lines is [.., ""] ? lines.Count - 1 : lines.Count, $"{key}: {value.Trim()}");
        else lines[at] = Line().Replace(lines[at], found => $"{key}: {value.Trim()}{(found.Groups["comment"].Success ? $" {found.Groups["comment"].Value}" : "")}");
        return string.Join('\n', lines);
    }

    private static string[] Lines(string text) => text.Length == 0 ? [] : text.ReplaceLineEndings("\n").Split('\n');

    [GeneratedRegex(@"^(?<key>[a-z][a-z0-9_]*)\s*:\s*(?<value>[^#]*?)\s*(?<comment>#.*)?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Line();
}
