using System.Text;
using System.Text.Json;

namespace ModelOps.ModelFiles.ChatTemplates.ToolCalls;

/// <summary>Tools for models whose template knows none: a system message describes them and asks for calls in <see cref="ToolCallStyle.Hermes"/>.</summary>
public static class ToolPrompt
{
    /// <summary>The conversation with the tools, and calls and results of its past, as text.</summary>
    public static ChatTemplateInput Apply(ChatTemplateInput input)
    {
        var system = input.Messages is [{ Role: "system" } first, ..] ? first.Content : null;
        var others = input.Messages.Skip(system is null ? 0 : 1);
        var described = input.Tools is { Count: > 0 } tools ? Describe(system, tools) : system;
        return input with
        {
            Tools = null,
            Messages = [.. described is null ? Array.Empty<ChatMessage>() : [new ChatMessage("system", described)], .. others.Select(ToText)],
        };
    }

    private static string Describe(string? system, IReadOnlyList<JsonElement> tools)
    {
        var text = new StringBuilder(system is null ? "" : $"{system}\n\n");
        text.Append("You may call one or more functions. Their signatures:\n<tools>\n");
        foreach (var tool in tools) text.Append(tool.GetRawText()).Append('\n');
        return text.Append("</tools>\nFor each call answer with a JSON object of its name and arguments within tags:\n")
            .Append("<tool_call>\n{\"name\": \"function-name\", \"arguments\": {}}\n</tool_call>").ToString();
    }

    private static ChatMessage ToText(ChatMessage message)
    {
        if (message.Role == "tool") return new ChatMessage("user", $"<tool_response>\n{message.Content}\n</tool_response>");
        if (message.ToolCalls is not { ValueKind: JsonValueKind.Array } calls) return message;
        var written = calls.EnumerateArray().Select(call => call.GetProperty("function")).Select(function =>
            $"<tool_call>\n{{\"name\": {function.GetProperty("name").GetRawText()}, \"arguments\": {ArgumentsOf(function)}}}\n</tool_call>");
        return message with { ToolCalls = null, Content = string.Join('\n', (message.Content is { Length: > 0 } text ? [text] : Array.Empty<string>()).Concat(written)) };
    }

    private static string ArgumentsOf(JsonElement function)
    {
        var arguments = function.GetProperty("arguments");
        return arguments.ValueKind == JsonValueKind.String ? arguments.GetString()! : arguments.GetRawText();
    }
}
