using System.Text.Json;

namespace ModelOps.Tables.Datasets;

/// <summary>
/// Tools as text, for rows that have only roles and contents: definitions as a system message, a call as the assistant's JSON
/// <c>{"name":…,"arguments":…}</c>, so that nothing a model is to learn from is lost.
/// </summary>
internal static class ToolText
{
    public static void AddDefinitions(JsonElement row, RowContent content)
    {
        if (!row.TryGetProperty("tools", out var tools) || tools.ValueKind == JsonValueKind.Null) return;
        var text = tools.ValueKind == JsonValueKind.String ? tools.GetString() : tools.GetRawText();
        if (!string.IsNullOrWhiteSpace(text) && text != "[]") content.Add("system", $"You can call these tools:\n{text}");
    }

    public static string? WithCalls(JsonElement message, RowContent content, string? text)
    {
        if (!message.TryGetProperty("tool_calls", out var calls) || calls.ValueKind == JsonValueKind.Null) return text;
        var lines = content.Items(message, "tool_calls").Select(call => Render(call, content));
        return string.Join('\n', lines.Prepend(text).Where(line => !string.IsNullOrWhiteSpace(line)));
    }

    private static string? Render(JsonElement call, RowContent content)
    {
        if (call.ValueKind != JsonValueKind.Object
            || !call.TryGetProperty("function", out var function) || function.ValueKind != JsonValueKind.Object)
        {
            content.Fail("tool_calls has a call without a function");
            return null;
        }
        var name = content.Required(function, "name", "tool_calls: ");
        var arguments = content.Optional(function, "arguments", "tool_calls: ") ?? "{}"; // JSON text already
        return $"{{\"name\":\"{JsonEncodedText.Encode(name)}\",\"arguments\":{arguments}}}";
    }
}
