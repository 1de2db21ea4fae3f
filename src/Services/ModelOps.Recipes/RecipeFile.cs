using System.Globalization;
using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ModelOps.Recipes;

/// <summary>A recipe as it was read, or everything that is wrong with it.</summary>
public abstract record RecipeReading
{
    private RecipeReading()
    {
    }

    public sealed record Read(Recipe Recipe) : RecipeReading;

    public sealed record Invalid(IReadOnlyList<string> Errors) : RecipeReading;
}

/// <summary>Reads recipes: a flat map in YAML or JSON whose keys are those of <see cref="RecipeFields"/>.</summary>
public static class RecipeFile
{
    /// <summary>Longest recipe that is read, in characters.</summary>
    public const int MaxLength = 65_536;

    private sealed record Entry(string Key, IReadOnlyList<string>? Values, string Where);

    /// <param name="text">YAML, or JSON where it begins with a brace. Empty: everything is chosen.</param>
    public static RecipeReading Parse(string text)
    {
        if (text.Length > MaxLength) return new RecipeReading.Invalid([$"the recipe has {text.Length} characters; at most {MaxLength} are read"]);
        try
        {
            return Bind(text.AsSpan().TrimStart().StartsWith('{') ? FromJson(text) : FromYaml(text));
        }
        catch (YamlException fault)
        {
            return new RecipeReading.Invalid([string.Create(CultureInfo.InvariantCulture, $"line {fault.Start.Line}: not valid YAML: {fault.Message}")]);
        }
        catch (JsonException fault)
        {
            return new RecipeReading.Invalid([string.Create(CultureInfo.InvariantCulture, $"line {fault.LineNumber + 1}: not valid JSON: {fault.Message}")]);
        }
        catch (FormatException fault)
        {
            return new RecipeReading.Invalid([fault.Message]);
        }
    }

    private static RecipeReading Bind(IEnumerable<Entry> entries)
    {
        var recipe = new Recipe();
        List<string> errors = [];
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (RecipeFields.All.FirstOrDefault(field => field.Name == entry.Key) is not { } field) errors.Add($"{entry.Where}{Unknown(entry.Key)}");
            else if (!seen.Add(entry.Key)) errors.Add($"{entry.Where}{entry.Key} stands there twice");
            else if (entry.Values is not { } values || (values.Count != 1 && !field.Value.TakesList)) errors.Add($"{entry.Where}{Wrong(field, "something else")}");
            else if (field.TakesAuto && values is [RecipeFields.Auto]) continue;
            else if (field.Value.Read(string.Join(',', values)) is { } value) recipe = field.Set(recipe, value);
            else errors.Add($"{entry.Where}{Wrong(field, $"'{string.Join(',', values)}'")}");
        }
        if (recipe is { Method: TrainingMethod.Full, Dora: true }) errors.Add("dora is for lora and qlora; method is full");
        return errors.Count == 0 ? new RecipeReading.Read(recipe) : new RecipeReading.Invalid(errors);
    }

    private static string Wrong(RecipeField field, string found) =>
        $"{field.Name} must be {field.Value.Takes}{(field.TakesAuto ? $", or {RecipeFields.Auto}" : "")}, not {found}";

    private static string Unknown(string key)
    {
        var nearest = RecipeFields.All.Select(field => field.Name).MinBy(name => Distance(name, key))!;
        return Distance(nearest, key) <= Math.Max(2, key.Length / 3)
            ? $"there is no key {key}; did you mean {nearest}?"
            : $"there is no key {key}; there are {string.Join(", ", RecipeFields.All.Select(field => field.Name))}";
    }

    /// <summary>Levenshtein's distance.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }

    private static List<Entry> FromYaml(string text)
    {
        var stream = new YamlStream();
        using var reader = new StringReader(text);
        try
        {
            stream.Load(reader);
        }
        catch (Exception fault) when (fault is InvalidOperationException or ArgumentException) // YamlDotNet 18 on some broken texts
        {
            throw new FormatException("not valid YAML", fault);
        }
        if (stream.Documents.Count == 0) return [];
        if (stream.Documents.Count > 1 || stream.Documents[0].RootNode is not YamlMappingNode map)
            throw new FormatException("a recipe is one map of keys and values");
        return
        [
            .. map.Children.Select(pair => new Entry(
                (pair.Key as YamlScalarNode)?.Value ?? pair.Key.ToString(), Values(pair.Value), string.Create(CultureInfo.InvariantCulture, $"line {pair.Key.Start.Line}: "))),
        ];

        static IReadOnlyList<string>? Values(YamlNode node) => node switch
        {
            YamlScalarNode scalar => [scalar.Value ?? ""],
            YamlSequenceNode list when list.Children.All(item => item is YamlScalarNode) => [.. list.Children.Select(item => ((YamlScalarNode)item).Value ?? "")],
            _ => null,
        };
    }

    private static List<Entry> FromJson(string text)
    {
        using var document = JsonDocument.Parse(text, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        return [.. document.RootElement.EnumerateObject().Select(property => new Entry(property.Name, Values(property.Value), ""))];

        static IReadOnlyList<string>? Values(JsonElement value) => value.ValueKind switch
        {
            JsonValueKind.Array when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(item => item.GetString()!)],
            JsonValueKind.String => [value.GetString()!],
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => [value.GetRawText()],
            _ => null,
        };
    }
}
