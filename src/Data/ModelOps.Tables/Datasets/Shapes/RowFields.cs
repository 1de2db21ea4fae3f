using System.Text.Json;
using ModelOps.Tables.Datasets.Formats;

namespace ModelOps.Tables.Datasets.Shapes;

/// <summary>A row's fields under the names that shapes know, and the first thing that is wrong with them.</summary>
/// <param name="names">The file's own name by the known one.</param>
internal sealed class RowFields(JsonElement row, IReadOnlyDictionary<string, string> names)
{
    public static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>null: good so far.</summary>
    public RowFault? Fault { get; private set; }

    public void Fail(string reason, string? detail = null) => Fault ??= new(reason, detail);

    /// <summary>Whether there is a field that says something.</summary>
    public bool Has(string key) => Find(key) is { ValueKind: not JsonValueKind.Null };

    public bool HasText(string key) => Find(key) is { ValueKind: JsonValueKind.String };

    public JsonElement? Find(string key) => row.TryGetProperty(names.GetValueOrDefault(key, key), out var value) ? value : null;

    /// <summary>Text that must be there and not blank.</summary>
    public string Required(string key) => Required(Find(key), key, where: null);

    /// <summary>Text that may be absent or null.</summary>
    public string? Optional(string key) => Optional(Find(key), key, where: null);

    public string Required(JsonElement? value, string key, string? where)
    {
        var text = Optional(value, key, where);
        if (string.IsNullOrWhiteSpace(text)) Fail(value is null ? $"has no {key}" : $"{key} is empty", where);
        return text ?? "";
    }

    public string? Optional(JsonElement? value, string key, string? where)
    {
        if (value is not { ValueKind: not JsonValueKind.Null } present) return null;
        if (present.ValueKind == JsonValueKind.String) return present.GetString();
        Fail($"{key} is {Describe(present)}, not text", where);
        return null;
    }

    /// <summary>A list that must be there; a table has it as JSON text.</summary>
    public IEnumerable<JsonElement> Items(string key) => Items(Find(key), key, where: null);

    public IEnumerable<JsonElement> Items(JsonElement? value, string key, string? where)
    {
        if (value is { ValueKind: JsonValueKind.String } text) value = Parse(text.GetString()!) ?? value;
        if (value is { ValueKind: JsonValueKind.Array } list) return list.EnumerateArray();
        Fail(value is { } other ? $"{key} is {Describe(other)}, not an array" : $"has no {key}", where);
        return [];
    }

    /// <summary>true or false; a table has them as text.</summary>
    public bool Flag(string key)
    {
        switch (Find(key))
        {
            case { ValueKind: JsonValueKind.True }:
                return true;
            case { ValueKind: JsonValueKind.False }:
                return false;
            case { ValueKind: JsonValueKind.String } text when bool.TryParse(text.GetString(), out var flag):
                return flag;
            case { } other:
                Fail($"{key} is {Describe(other)}, not true or false");
                return false;
            default:
                Fail($"has no {key}");
                return false;
        }
    }

    /// <returns>null: it is no JSON, or has a key twice.</returns>
    public static JsonElement? Parse(string json)
    {
        try
        {
            return JsonElement.Parse(json, Strict);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether the field is true, false, or text that says so.</summary>
    public bool IsFlag(string key) => Find(key) is { } value
        && (value.ValueKind is JsonValueKind.True or JsonValueKind.False
            || (value.ValueKind == JsonValueKind.String && bool.TryParse(value.GetString(), out _)));

    public static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "a boolean",
    };

    public static string Short(string text) => text.Length <= 40 ? text : $"{text[..40]}…";
}
