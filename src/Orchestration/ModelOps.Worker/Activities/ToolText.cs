using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Tables.Datasets;

namespace ModelOps.Worker.Activities;

/// <summary>
/// Conversations whose tools are text, for templates that know only roles and contents: definitions as a system message, a call as the
/// assistant's JSON <c>{"name":…,"arguments":…}</c>, so that nothing a model is to learn from is lost.
/// </summary>
internal static class ToolText
{
    public static IReadOnlyList<ChatMessage> Messages(DatasetExample row)
    {
        var messages = row.Messages.Select(message => new ChatMessage(message.Role, WithCalls(message))).ToList();
        if (row.Content.Tools is { } tools)
        {
            var afterSystem = messages.Count > 0 && messages[0].Role == RowMessage.System ? 1 : 0;
            messages.Insert(afterSystem, new(RowMessage.System, $"You can call these tools:\n{tools}"));
        }
        return messages;
    }

    private static string WithCalls(RowMessage message)
    {
        if (message.ToolCalls is null) return message.Content;
        using var calls = JsonDocument.Parse(message.ToolCalls);
        var lines = calls.RootElement.EnumerateArray().Select(Render);
        return string.Join('\n', lines.Prepend(message.Content).Where(line => !string.IsNullOrWhiteSpace(line)));
    }

    /// <summary>Arguments are an object, or its JSON as text.</summary>
    private static string Render(JsonElement call)
    {
        var function = call.TryGetProperty("function", out var inner) ? inner : call;
        var arguments = !function.TryGetProperty("arguments", out var given) || given.ValueKind == JsonValueKind.Null ? "{}"
            : given.ValueKind == JsonValueKind.String ? given.GetString()!
            : given.GetRawText();
        return $"{{\"name\":{function.GetProperty("name").GetRawText()},\"arguments\":{arguments}}}";
    }
}
