using System.Text.Json;

namespace ModelOps.ModelFiles.ChatTemplates;

/// <summary>One message of a conversation, in OpenAI's form.</summary>
/// <param name="Content">Null where an assistant message only calls tools.</param>
public sealed record ChatMessage(string Role, string? Content)
{
    public const string AssistantRole = "assistant";

    /// <summary>An array of calls. Arguments written as a JSON string reach the template as the object they hold.</summary>
    public JsonElement? ToolCalls { get; init; }

    public string? Name { get; init; }

    /// <summary>Which call a message with the role "tool" answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>Further fields that a template may know, such as <c>reasoning_content</c>.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Extra { get; init; }
}
