using System.Runtime.InteropServices;
using System.Text.Json;

namespace ModelOps.ModelFiles.ChatTemplates;

/// <summary>What a template renders: the variables that transformers gives it.</summary>
public sealed record ChatTemplateInput
{
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>JSON schemas of the tools, as OpenAI's <c>tools</c> has them.</summary>
    public IReadOnlyList<JsonElement>? Tools { get; init; }

    /// <summary>Whether the text ends where the assistant's answer starts.</summary>
    public bool AddGenerationPrompt { get; init; }

    public string? BosToken { get; init; }

    public string? EosToken { get; init; }

    /// <summary>Variables of the template's own, such as <c>enable_thinking</c>; they win over the ones above.</summary>
    public IReadOnlyDictionary<string, JsonElement>? ExtraVariables { get; init; }
}

/// <summary>A stretch of a text, in UTF-16 units.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct TextSpan(int Start, int Length)
{
    public int End => Start + Length;
}

/// <param name="AssistantSpans">What the assistant wrote, in order: from the template's <c>generation</c> blocks, none without them.</param>
public sealed record RenderedChat(string Text, IReadOnlyList<TextSpan> AssistantSpans);
