using System.Text.Json;

namespace ModelOps.Client;

// OpenAI's shapes of /v1/chat/completions: what this client sends and reads of them.

/// <param name="Role">system, user or assistant.</param>
public sealed record ChatMessage(string Role, string Content)
{
    /// <summary>Of an assistant.</summary>
    public IReadOnlyList<ChatToolCall>? ToolCalls { get; init; }
}

public sealed record ChatToolCall(string Id, ChatFunctionCall Function)
{
    public string Type { get; set; } = "function";
}

/// <param name="Arguments">A JSON text.</param>
public sealed record ChatFunctionCall(string Name, string Arguments);

public sealed record ChatRequest
{
    /// <summary>Name of a deployment.</summary>
    public required string Model { get; init; }
    public required IReadOnlyList<ChatMessage> Messages { get; init; }
    /// <summary>0 decodes greedily; null takes the server's default.</summary>
    public double? Temperature { get; init; }
    public double? TopP { get; init; }
    public int? MaxTokens { get; init; }
    public int? Seed { get; init; }
    /// <summary>Whether to tell how likely each token of the answer was.</summary>
    public bool? Logprobs { get; init; }
    /// <summary>The likeliest tokens at each place, at most 20; needs <see cref="Logprobs"/>.</summary>
    public int? TopLogprobs { get; init; }
    /// <summary>What the model may call, in OpenAI's form: each of type function.</summary>
    public IReadOnlyList<JsonElement>? Tools { get; init; }
    /// <summary><c>auto</c>, <c>none</c> or <c>required</c>; null: as the model likes.</summary>
    public string? ToolChoice { get; init; }
    /// <summary>OpenAI's: of type text, json_object or json_schema.</summary>
    public JsonElement? ResponseFormat { get; init; }
    public bool Stream { get; init; }
    public ChatStreamOptions? StreamOptions { get; init; }
}

public sealed record ChatStreamOptions(bool IncludeUsage);

public sealed record ChatChunk
{
    public string? Id { get; init; }
    public string? Model { get; init; }
    /// <summary>Null or empty on chunks that carry only usage or an error.</summary>
    public IReadOnlyList<ChatChunkChoice>? Choices { get; init; }
    /// <summary>On the last chunk only.</summary>
    public ChatUsage? Usage { get; init; }
    /// <summary>Set when generation failed after the answer had begun.</summary>
    public OpenAIError? Error { get; init; }
}

public sealed record ChatChunkChoice(int Index, ChatDelta? Delta, string? FinishReason)
{
    /// <summary>Null unless they were asked for.</summary>
    public ChatLogprobs? Logprobs { get; init; }
}

public sealed record ChatDelta(string? Role, string? Content)
{
    public IReadOnlyList<ChatToolCallDelta>? ToolCalls { get; init; }
}

/// <summary>A piece of a call: the first of an index has its id and its name, and all have some of its arguments.</summary>
public sealed record ChatToolCallDelta(int Index, string? Id, ChatFunctionDelta? Function);

public sealed record ChatFunctionDelta(string? Name, string? Arguments);

public sealed record ChatLogprobs(IReadOnlyList<ChatTokenLogprob>? Content);

/// <param name="Token">Where it is a part of a character, that part is unreadable.</param>
/// <param name="Logprob">Natural logarithm of its probability.</param>
public sealed record ChatTokenLogprob(string Token, double Logprob)
{
    /// <summary>The likeliest at its place, likeliest first.</summary>
    public IReadOnlyList<ChatTokenLogprob>? TopLogprobs { get; init; }
}

public sealed record ChatUsage(int PromptTokens, int CompletionTokens, int TotalTokens);

/// <summary>A whole answer.</summary>
/// <param name="FinishReason">stop, length, tool_calls or another of OpenAI's.</param>
public sealed record ChatAnswer(string Content, string FinishReason, ChatUsage? Usage)
{
    public IReadOnlyList<ChatToolCall> ToolCalls { get; init; } = [];

    /// <summary>Of each token; empty unless they were asked for.</summary>
    public IReadOnlyList<ChatTokenLogprob> Logprobs { get; init; } = [];
}

public sealed record OpenAIErrorBody(OpenAIError? Error);

public sealed record OpenAIError(string Message, string? Type, string? Param, string? Code);

public sealed record ModelList(IReadOnlyList<ModelEntry> Data);

public sealed record ModelEntry(string Id);
