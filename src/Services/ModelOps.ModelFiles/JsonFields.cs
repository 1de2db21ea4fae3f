using System.Text.Json;

namespace ModelOps.ModelFiles;

/// <summary>Reads fields of a JSON object and gathers every error, so that a user sees them all at once. JSON null counts as
/// absent.</summary>
internal sealed class JsonFields(JsonElement source)
{
    private readonly List<string> errors = [];

    public IReadOnlyList<string> Errors => errors;

    public void Report(string error) => errors.Add(error);

    public void ThrowIfAny(string path)
    {
        if (errors.Count > 0) throw new InvalidModelFileException(path, errors);
    }

    public JsonElement? Find(string name) =>
        source.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>Whether the file says null, which turns off what is on where the file says nothing.</summary>
    public bool IsNull(string name) => source.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Null;

    public int PositiveInt(string name, int? fallback = null)
    {
        if (Find(name) is not { } value)
        {
            if (fallback is null) errors.Add($"\"{name}\" is missing");
            return fallback ?? 1;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number > 0) return number;
        errors.Add($"\"{name}\" must be a positive integer, found {Shorten(value)}");
        return 1;
    }

    public double Number(string name, double? fallback = null)
    {
        if (Find(name) is not { } value)
        {
            if (fallback is null) errors.Add($"\"{name}\" is missing");
            return fallback ?? 0;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)) return number;
        errors.Add($"\"{name}\" must be a number, found {Shorten(value)}");
        return 0;
    }

    public double PositiveNumber(string name, double? fallback = null)
    {
        var before = errors.Count;
        var number = Number(name, fallback);
        if (number <= 0 && errors.Count == before) errors.Add($"\"{name}\" must be greater than 0, found {number}");
        return number;
    }

    public bool Flag(string name, bool fallback)
    {
        if (Find(name) is not { } value) return fallback;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        errors.Add($"\"{name}\" must be true or false, found {Shorten(value)}");
        return fallback;
    }

    public string? Text(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.String) return value.GetString();
        errors.Add($"\"{name}\" must be a string, found {Shorten(value)}");
        return null;
    }

    public IReadOnlyList<string> Texts(string name)
    {
        if (Find(name) is not { } value) return [];
        if (value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String))
            return [.. value.EnumerateArray().Select(item => item.GetString()!)];
        errors.Add($"\"{name}\" must be a list of strings, found {Shorten(value)}");
        return [];
    }

    /// <summary>A token id or a list of them, as <c>eos_token_id</c> is written.</summary>
    public IReadOnlyList<int> TokenIds(string name)
    {
        if (Find(name) is not { } value) return [];
        var items = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value];
        var ids = new List<int>(items.Length);
        foreach (var item in items)
        {
            if (item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0) ids.Add(id);
            else errors.Add($"\"{name}\" must be a token id or a list of them, found {Shorten(value)}");
        }

        return ids;
    }

    public static string Shorten(JsonElement value)
    {
        var text = value.GetRawText();
        return text.Length <= 60 ? text : $"{text[..60]}…";
    }
}
