using System.Text.Json.Serialization;
using ModelOps.Server.OpenAI;

namespace ModelOps.Server.Streaming;

/// <summary>What a client sends over <c>/api/v1/stream</c>.</summary>
/// <param name="Type"><c>request</c> or <c>cancel</c>.</param>
/// <param name="Id">The client's own name of the request; free again once the request has ended.</param>
public sealed record StreamInput(string Type, string Id)
{
    /// <summary>Of a request: as the body of <c>/v1/chat/completions</c>; stream is taken for true.</summary>
    public ChatCompletionRequest? Request { get; init; }
}

/// <summary>What the server sends.</summary>
/// <param name="Type"><c>chunk</c>; and last <c>done</c>, <c>canceled</c> or <c>error</c>.</param>
/// <param name="Id">Of the request; absent where a message could not be read at all.</param>
public sealed record StreamOutput(string Type, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Id)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ChatCompletionChunk? Chunk { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public OpenAIError? Error { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(StreamInput))]
[JsonSerializable(typeof(StreamOutput))]
internal sealed partial class StreamJson : JsonSerializerContext;
