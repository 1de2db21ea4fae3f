using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Client;

namespace ModelOps.Server.OpenAI;

// The shapes of OpenAI's API description (openai/openai-openapi), as far as they are offered.

public sealed record ChatCompletionRequest
{
    public required string Model { get; init; }
    public required IReadOnlyList<ChatMessage> Messages { get; init; }
    public bool? Stream { get; init; }
    public StreamOptions? StreamOptions { get; init; }
    public int? MaxTokens { get; init; }
    public int? MaxCompletionTokens { get; init; }
    public float? Temperature { get; init; }
    public float? TopP { get; init; }
    public long? Seed { get; init; }

    /// <summary>A string or a list of up to four.</summary>
    public JsonElement? Stop { get; init; }

    /// <summary>What this server does not know or does not offer yet; it is refused by name, never ignored in silence.</summary>
    [JsonExtensionData]
    public IDictionary<string, JsonElement>? Others { get; set; } // set: the deserializer fills it last
}

public sealed record StreamOptions(bool? IncludeUsage);

/// <param name="Content">A string, or a list of parts of type text.</param>
public sealed record ChatMessage(string Role, JsonElement? Content);

public sealed record ChatCompletion(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, CompletionUsage Usage);

public sealed record ChatChoice(int Index, ChatAnswer Message, object? Logprobs, string FinishReason);

public sealed record ChatAnswer(string Role, string Content, string? Refusal);

public sealed record ChatCompletionChunk(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChunkChoice> Choices, CompletionUsage? Usage);

public sealed record ChunkChoice(int Index, ChunkDelta Delta, object? Logprobs, string? FinishReason);

public sealed record ChunkDelta(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Role,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Content);

public sealed record CompletionUsage(int PromptTokens, int CompletionTokens, int TotalTokens);

public sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

public sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy);

public sealed record OpenAIErrorEnvelope(OpenAIError Error);

public sealed record OpenAIError(string Message, string Type, string? Param, string? Code)
{
    /// <summary>A problem in OpenAI's words, so that their SDKs raise the exception that their users expect.</summary>
    public static OpenAIErrorEnvelope From(Problem problem) => new(new OpenAIError(
        problem.Errors.Count > 1 ? string.Join('\n', problem.Errors) : problem.Detail ?? problem.Title,
        problem.Type switch
        {
            ProblemTypes.Unavailable => "server_error",
            ProblemTypes.Internal => "server_error",
            ProblemTypes.TooManyRequests or ProblemTypes.QuotaExceeded => "requests",
            ProblemTypes.Unauthorized => "authentication_error",
            ProblemTypes.Forbidden => "permission_error",
            _ => "invalid_request_error",
        },
        Param: null,
        problem.Type switch
        {
            ProblemTypes.NotFound => "model_not_found",
            ProblemTypes.Unauthorized => "invalid_api_key",
            ProblemTypes.TooManyRequests or ProblemTypes.QuotaExceeded => "rate_limit_exceeded",
            _ => null,
        }));
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatCompletionChunk))]
[JsonSerializable(typeof(ChatCompletionRequest))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ModelEntry))]
[JsonSerializable(typeof(OpenAIErrorEnvelope))]
internal sealed partial class OpenAIJson : JsonSerializerContext;
