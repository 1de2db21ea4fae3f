using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelOps.Samples;

/// <param name="Uses">How often people wrote the word in this sense in the texts that WordNet's makers tagged.</param>
public sealed record WordSense(string Word, string Definition, IReadOnlyList<string> Examples, int Uses);

/// <summary>Reads WordNet's database files (wndb(5WN), senseidx(5WN)).</summary>
public static partial class WordNet
{
    private const int Adjective = 3;
    private const int AdjectiveSatellite = 5; // its glosses stand with the adjectives

    /// <summary>The most used sense of each word that is a single lower-case word and is defined shortly, the most used words first.</summary>
    /// <param name="folder">Holds data.noun, index.sense and the like.</param>
    public static IReadOnlyList<WordSense> CommonWords(string folder, int count)
    {
        string[] files = ["noun", "verb", "adj", "adv"];
        var glosses = files.Select((file, index) => (Kind: index + 1, Glosses: ReadGlosses(Path.Combine(folder, $"data.{file}"))))
            .ToDictionary(part => part.Kind, part => part.Glosses);
        return
        [
            .. File.ReadLines(Path.Combine(folder, "index.sense"))
                .Select(ReadSense)
                .Where(sense => sense.Uses > 0 && PlainWord().IsMatch(sense.Word))
                .GroupBy(sense => sense.Word)
                .Select(senses => senses.OrderByDescending(sense => sense.Uses).ThenBy(sense => sense.Kind).ThenBy(sense => sense.Offset, StringComparer.Ordinal).First())
                .Select(sense => Define(sense.Word, glosses[sense.Kind == AdjectiveSatellite ? Adjective : sense.Kind][sense.Offset], sense.Uses))
                .OfType<WordSense>()
                .OrderByDescending(sense => sense.Uses).ThenBy(sense => sense.Word, StringComparer.Ordinal)
                .Take(count),
        ];
    }

    private static (string Word, int Kind, string Offset, int Uses) ReadSense(string line)
    {
        // lemma%kind:file:id:head:id offset number uses; kind 1 noun, 2 verb, 3 adjective, 4 adverb, 5 adjective satellite
        var fields = line.Split(' ');
        var percent = fields[0].IndexOf('%', StringComparison.Ordinal);
        return (fields[0][..percent], fields[0][percent + 1] - '0', fields[1], int.Parse(fields[3], CultureInfo.InvariantCulture));
    }

    private static Dictionary<string, string> ReadGlosses(string path) => File.ReadLines(path)
        .Where(line => line.Length > 0 && line[0] != ' ') // the licence is indented
        .ToDictionary(line => line[..8], line => line[(line.IndexOf(" | ", StringComparison.Ordinal) + 3)..].Trim());

    /// <returns>Null if the definition is too long for a small model, or rude.</returns>
    private static WordSense? Define(string word, string gloss, int uses)
    {
        var definition = Aside().Replace(gloss.Split("; \"")[0].Split(';')[0], "").Trim(' ', ',', ':');
        var isShort = definition.Split(' ').Length is >= 3 and <= 14;
        if (!isShort || Unsuited().IsMatch(gloss) || definition.Contains(word, StringComparison.OrdinalIgnoreCase)) return null;
        var examples = Quoted().Matches(gloss).Select(match => match.Groups["text"].Value.Trim()).Where(example => example.Split(' ').Length is >= 3 and <= 16);
        return new(word, definition, [.. examples], uses);
    }

    [GeneratedRegex("^[a-z]{3,12}$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PlainWord();

    [GeneratedRegex(@"\([^)]*\)\s*|`|'(?!\w)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Aside();

    [GeneratedRegex("\"(?<text>[^\"]+)\"", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"\b(offensive|disparaging|obscene|vulgar|sexual\w*|slang|genital\w*|kill\w*|murder\w*|rape\w*)\b", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Unsuited();
}
