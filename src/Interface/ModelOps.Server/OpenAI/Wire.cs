using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ModelOps.Client;
using ModelOps.Server.Files;
using ModelOps.Server.FineTuning;

namespace ModelOps.Server.OpenAI;

public sealed record OpenAIErrorEnvelope(OpenAIError Error);

/// <param name="Param">Where in the request the fault is.</param>
public sealed record OpenAIError(string Message, string Type, string? Param, string? Code)
{
    /// <summary>A problem in OpenAI's words, so that their SDKs raise the exception that their users expect.</summary>
    /// <param name="code">What is more precise than the problem's type.</param>
    internal static OpenAIErrorEnvelope From(Problem problem, string? param, string? code) => new(new OpenAIError(
        problem.Errors.Count > 1 ? string.Join('\n', problem.Errors) : problem.Detail ?? problem.Title,
        problem.Type switch
        {
            ProblemTypes.Unavailable or ProblemTypes.InsufficientStorage or ProblemTypes.Internal => "server_error",
            ProblemTypes.TooManyRequests or ProblemTypes.QuotaExceeded => "requests",
            ProblemTypes.Unauthorized => "authentication_error",
            ProblemTypes.Forbidden => "permission_error",
            _ => "invalid_request_error",
        },
        param,
        code ?? problem.Type switch
        {
            ProblemTypes.Unauthorized => "invalid_api_key",
            ProblemTypes.TooManyRequests or ProblemTypes.QuotaExceeded => "rate_limit_exceeded",
            _ => null,
        }));
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatCompletionChunk))]
[JsonSerializable(typeof(ChatCompletionRequest))]
[JsonSerializable(typeof(Completion))]
[JsonSerializable(typeof(CompletionRequest))]
[JsonSerializable(typeof(CreateFineTuningJob))]
[JsonSerializable(typeof(DeletedObject))]
[JsonSerializable(typeof(EmbeddingList))]
[JsonSerializable(typeof(EmbeddingRequest))]
[JsonSerializable(typeof(FileList))]
[JsonSerializable(typeof(FileObject))]
[JsonSerializable(typeof(FineTuningCheckpointList))]
[JsonSerializable(typeof(FineTuningEventList))]
[JsonSerializable(typeof(FineTuningJobList))]
[JsonSerializable(typeof(FineTuningJobObject))]
[JsonSerializable(typeof(float[]))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(JsonObject))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ModelEntry))]
[JsonSerializable(typeof(OpenAIErrorEnvelope))]
[JsonSerializable(typeof(RerankRequest))]
[JsonSerializable(typeof(RerankResponse))]
[JsonSerializable(typeof(ResponseEvent))]
[JsonSerializable(typeof(ResponseRequest))]
[JsonSerializable(typeof(ResponseObject))]
internal sealed partial class OpenAIJson : JsonSerializerContext;
