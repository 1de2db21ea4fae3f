using System.Text.Json;

namespace ModelOps.Tables.Datasets;

/// <summary>The messages of one row as they are read, or the first reason why it is no good row.</summary>
internal sealed class RowContent
{
    private readonly List<RowMessage> messages = [];

    public IReadOnlyList<RowMessage> Messages => messages;

    /// <summary>null: good so far.</summary>
    public string? Reason { get; private set; }

    public void Fail(string reason) => Reason ??= reason;

    /// <summary>Blank content is no message: an empty system prompt or history turn says nothing.</summary>
    public void Add(string role, string? content)
    {
        if (!string.IsNullOrWhiteSpace(content)) messages.Add(new(role, content));
    }

    /// <summary>A property that must be text and not blank.</summary>
    public string Required(JsonElement row, string key, string where = "")
    {
        var text = Optional(row, key, where);
        if (string.IsNullOrWhiteSpace(text)) Fail(row.TryGetProperty(key, out _) ? $"{where}{key} is empty" : $"{where}has no {key}");
        return text ?? "";
    }

    /// <summary>A property that may be absent or null, but no other type than text.</summary>
    public string? Optional(JsonElement row, string key, string where = "")
    {
        if (!row.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.String) return value.GetString();
        Fail($"{where}{key} is {Describe(value)}, not text");
        return null;
    }

    /// <summary>A property that must be an array.</summary>
    public IEnumerable<JsonElement> Items(JsonElement row, string key)
    {
        if (row.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Array) return value.EnumerateArray();
        Fail(value.ValueKind == JsonValueKind.Undefined ? $"has no {key}" : $"{key} is {Describe(value)}, not an array");
        return [];
    }

    public static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "a boolean",
    };
}
