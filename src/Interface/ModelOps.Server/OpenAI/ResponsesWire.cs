using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Server.OpenAI;

// The shapes of responses in OpenAI's API description (openai/openai-openapi), as far as they are offered: the part that keeps no state.

public sealed record ResponseRequest
{
    public required string Model { get; init; }

    /// <summary>A string, or a list of items: messages, function calls and their outputs, reasoning.</summary>
    public required JsonElement Input { get; init; }
    public string? Instructions { get; init; }
    public bool? Stream { get; init; }
    public int? MaxOutputTokens { get; init; }
    public float? Temperature { get; init; }
    public float? TopP { get; init; }
    public int? TopLogprobs { get; init; }

    /// <summary>Each of type function.</summary>
    public IReadOnlyList<ResponseTool>? Tools { get; init; }
    public JsonElement? ToolChoice { get; init; }
    public bool? ParallelToolCalls { get; init; }
    public ResponseText? Text { get; init; }
    public ResponseReasoning? Reasoning { get; init; }

    /// <summary><c>message.output_text.logprobs</c> is what has an effect.</summary>
    public IReadOnlyList<string>? Include { get; init; }
    public JsonElement? Metadata { get; init; }

    /// <summary>Nothing is kept: false, or left out.</summary>
    public bool? Store { get; init; }

    /// <summary>Whatever else; refused by name.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Others { get; set; } // set: the deserializer fills it last
}

public sealed record ResponseTool(string Type, string? Name = null, JsonElement? Parameters = null, bool? Strict = null)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Description { get; init; }
}

/// <param name="Format">Of type text, json_object or json_schema.</param>
public sealed record ResponseText([property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JsonElement? Format = null);

public sealed record ResponseReasoning([property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Effort = null);

public sealed record ResponseObject
{
    public required string Id { get; init; }
    public string Object { get; init; } = "response";
    public required long CreatedAt { get; init; }

    /// <summary><c>in_progress</c>, <c>completed</c>, <c>incomplete</c> or <c>failed</c>.</summary>
    public required string Status { get; init; }
    public ResponseFailure? Error { get; init; }
    public ResponseIncomplete? IncompleteDetails { get; init; }
    public string? Instructions { get; init; }
    public required string Model { get; init; }
    public IReadOnlyList<ResponseItem> Output { get; init; } = [];
    public required bool ParallelToolCalls { get; init; }
    public string? PreviousResponseId { get; init; }
    public bool Store { get; init; }
    public required float Temperature { get; init; }
    public required float TopP { get; init; }
    public required JsonElement ToolChoice { get; init; }
    public required IReadOnlyList<ResponseTool> Tools { get; init; }
    public required ResponseText Text { get; init; }
    public int? MaxOutputTokens { get; init; }
    public JsonElement? Metadata { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ResponseUsage? Usage { get; init; }
}

public sealed record ResponseFailure(string Code, string Message);

public sealed record ResponseIncomplete(string Reason);

public sealed record ResponseUsage(
    int InputTokens, ResponseInputDetails InputTokensDetails, int OutputTokens, ResponseOutputDetails OutputTokensDetails, int TotalTokens);

/// <param name="CacheWriteTokens">Of no meaning here: what is read stays in memory for the next prompt without a word of the caller.</param>
public sealed record ResponseInputDetails(int CachedTokens, int CacheWriteTokens);

/// <param name="ReasoningTokens">Not counted apart.</param>
public sealed record ResponseOutputDetails(int ReasoningTokens);

/// <summary>A message, a function call or reasoning; what the type lacks is absent.</summary>
public sealed record ResponseItem
{
    public required string Id { get; init; }

    /// <summary><c>message</c>, <c>function_call</c> or <c>reasoning</c>.</summary>
    public required string Type { get; init; }
    public required string Status { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ResponsePart>? Content { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ResponsePart>? Summary { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CallId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Arguments { get; init; }
}

/// <param name="Type"><c>output_text</c> or <c>reasoning_text</c>.</param>
public sealed record ResponsePart(string Type, string Text)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Annotations { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ChatTokenLogprob>? Logprobs { get; init; }
}

/// <summary>An event of a streamed response; what the type lacks is absent.</summary>
public sealed record ResponseEvent(string Type, int SequenceNumber)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ResponseObject? Response { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? OutputIndex { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ResponseItem? Item { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ItemId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? ContentIndex { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ResponsePart? Part { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Delta { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Text { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Arguments { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ChatTokenLogprob>? Logprobs { get; init; }
}
