using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ModelOps.Recipes;

/// <summary>A recipe as it was read, or everything that is wrong with it.</summary>
public abstract record RecipeReading
{
    private RecipeReading()
    {
    }

    /// <param name="Written">The keys that something is said of, as JSON: read again, it is the same recipe.</param>
    public sealed record Read(Recipe Recipe, JsonElement Written) : RecipeReading;

    public sealed record Invalid(IReadOnlyList<string> Errors) : RecipeReading;
}

/// <summary>What is said of one key besides a recipe's text, and stands in place of what the text says of it.</summary>
/// <param name="Value">As a recipe would have it.</param>
public sealed record RecipeSetting(string Key, string Value);

/// <summary>Reads recipes: a flat map in YAML or JSON whose keys are those of <see cref="RecipeFields"/>.</summary>
public static class RecipeFile
{
    /// <summary>Longest recipe that is read, in characters.</summary>
    public const int MaxLength = 65_536;

    private sealed record Entry(string Key, IReadOnlyList<string>? Values, string Where);

    /// <param name="text">YAML, or JSON where it begins with a brace. Empty: everything is chosen.</param>
    public static RecipeReading Parse(string text, params IEnumerable<RecipeSetting> settings)
    {
        if (text.Length > MaxLength) return new RecipeReading.Invalid([$"the recipe has {text.Length} characters; at most {MaxLength} are read"]);
        try
        {
            return Bind(
                text.AsSpan().TrimStart().StartsWith('{') ? FromJson(text) : FromYaml(text), [.. settings.Select(setting => new Entry(setting.Key, [setting.Value], ""))]);
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

    /// <param name="settings">They win.</param>
    private static RecipeReading Bind(IReadOnlyList<Entry> entries, IReadOnlyList<Entry> settings)
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        List<string> errors = [.. entries.Where(entry => !seen.Add(entry.Key)).Select(entry => $"{entry.Where}{entry.Key} stands there twice")];
        Dictionary<string, object> values = new(StringComparer.Ordinal);
        foreach (var entry in entries.Concat(settings))
        {
            if (RecipeFields.All.FirstOrDefault(field => field.Name == entry.Key) is not { } field) errors.Add($"{entry.Where}{Unknown(entry.Key)}");
            else if (entry.Values is not { } given || (given.Count != 1 && !field.Value.TakesList)) errors.Add($"{entry.Where}{Wrong(field, "something else")}");
            else if (field.TakesAuto && given is [RecipeFields.Auto]) values.Remove(field.Name);
            else if (field.Value.Read(string.Join(',', given)) is { } value) values[field.Name] = value;
            else errors.Add($"{entry.Where}{Wrong(field, $"'{string.Join(',', given)}'")}");
        }
        var said = (from field in RecipeFields.All where values.ContainsKey(field.Name) select (Field: field, Value: values[field.Name])).ToList();
        var recipe = said.Aggregate(new Recipe(), (made, next) => next.Field.Set(made, next.Value));
        errors.AddRange(OfOtherMethods(said, recipe.Method));
        return errors.Count == 0 ? new RecipeReading.Read(recipe, Written(said)) : new RecipeReading.Invalid(errors);
    }

    private static IEnumerable<string> OfOtherMethods(IEnumerable<(RecipeField Field, object Value)> values, TrainingMethod method) =>
        from said in values
        where !said.Field.Methods.Contains(method) && !Equals(said.Value, said.Field.Value.Read(said.Field.Default))
        select $"{said.Field.Name} is for {string.Join(" and ", said.Field.Methods.Select(RecipeValue.NameOf))}; method is {RecipeValue.NameOf(method)}";

    private static JsonElement Written(IEnumerable<(RecipeField Field, object Value)> values)
    {
        var written = new JsonObject(values.Select(said => KeyValuePair.Create<string, JsonNode?>(said.Field.Name, said.Value switch
        {
            bool flag => JsonValue.Create(flag),
            int whole => JsonValue.Create(whole),
            double number => JsonValue.Create(number),
            Enum choice => JsonValue.Create(RecipeValue.NameOf(choice)),
            var text => JsonValue.Create((string)text),
        })));
        return JsonElement.Parse(written.ToJsonString());
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
