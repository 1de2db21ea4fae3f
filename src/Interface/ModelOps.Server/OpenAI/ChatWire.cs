using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Server.OpenAI;

// The shapes of chat/completions in OpenAI's API description (openai/openai-openapi), as far as they are offered.

public sealed record ChatCompletionRequest : GenerationBody
{
    public required IReadOnlyList<ChatMessage> Messages { get; init; }
    public int? MaxCompletionTokens { get; init; }
    public bool? Logprobs { get; init; }
    public int? TopLogprobs { get; init; }

    /// <summary>Each of type function.</summary>
    public IReadOnlyList<JsonElement>? Tools { get; init; }

    /// <summary><c>none</c>, <c>auto</c>, <c>required</c>, or one function by name.</summary>
    public JsonElement? ToolChoice { get; init; }

    /// <summary>false: one call at most.</summary>
    public bool? ParallelToolCalls { get; init; }

    /// <summary>Of type text, json_object or json_schema.</summary>
    public JsonElement? ResponseFormat { get; init; }

    /// <summary>vLLM's and llama-server's: variables of the model's chat template.</summary>
    public IReadOnlyDictionary<string, JsonElement>? ChatTemplateKwargs { get; init; }

    /// <summary>The variable <c>reasoning_effort</c> of the model's chat template.</summary>
    public string? ReasoningEffort { get; init; }
}

/// <param name="Content">A string, or a list of parts of type text; absent where an assistant only calls tools.</param>
public sealed record ChatMessage(string Role, JsonElement? Content = null)
{
    public string? Name { get; init; }
    public IReadOnlyList<ChatToolCall>? ToolCalls { get; init; }
    public string? ToolCallId { get; init; }

    /// <summary>What an assistant thought.</summary>
    public string? ReasoningContent { get; init; }
}

public sealed record ChatToolCall(string Id, string Type, ChatFunctionCall Function);

/// <param name="Arguments">JSON, as a text.</param>
public sealed record ChatFunctionCall(string Name, string Arguments);

public sealed record ChatCompletion(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CompletionUsage? Usage);

public sealed record ChatChoice(int Index, ChatAnswer Message, ChatLogprobs? Logprobs, string FinishReason);

public sealed record ChatAnswer(string Role, string? Content, string? Refusal)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ReasoningContent { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ChatToolCall>? ToolCalls { get; init; }
}

public sealed record ChatLogprobs(IReadOnlyList<ChatTokenLogprob> Content, IReadOnlyList<ChatTokenLogprob>? Refusal);

/// <param name="Bytes">A token may be a part of a character: then only its bytes are true.</param>
public sealed record ChatTokenLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ChatTokenLogprob>? TopLogprobs { get; init; }
}

public sealed record ChatCompletionChunk(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChunkChoice> Choices,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CompletionUsage? Usage);

public sealed record ChunkChoice(
    int Index, ChunkDelta Delta, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ChatLogprobs? Logprobs, string? FinishReason);

public sealed record ChunkDelta
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ReasoningContent { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ChunkToolCall>? ToolCalls { get; init; }
}

public sealed record ChunkToolCall(int Index, ChunkFunctionCall Function)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Type { get; init; }
}

public sealed record ChunkFunctionCall([property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Name, string Arguments);

public sealed record CompletionUsage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails PromptTokensDetails);

/// <param name="CachedTokens">Of the prompt's, those that the model had read before.</param>
public sealed record PromptTokensDetails(int CachedTokens);
