using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Server.Deployments;

namespace ModelOps.Server.OpenAI;

public static class OpenAIEndpoints
{
    public static void MapOpenAI(this IEndpointRouteBuilder routes)
    {
        var api = routes.MapGroup("/v1").WithTags("openai");
        api.MapGet("/models", (DeploymentManager deployments) => Json(new ModelList("list", [.. Ready(deployments).Select(ToModel)])))
            .WithName("openaiListModels").WithSummary("Lists the models that are served.").Produces<ModelList>();
        api.MapGet("/models/{id}", (string id, DeploymentManager deployments) =>
            Ready(deployments).FirstOrDefault(deployment => deployment.Name == id) is { } found
                ? Results.Json(ToModel(found), OpenAIJson.Default.ModelEntry)
                : Problems.NotFound($"no model '{id}' is deployed; see /v1/models for those that are"))
            .WithName("openaiGetModel").WithSummary("Tells of a served model.").Produces<ModelEntry>();
        api.MapPost("/chat/completions", ChatCompletions.CreateAsync)
            .WithName("openaiCreateChatCompletion").WithSummary("Answers a chat, whole or as a stream of chunks.")
            .Accepts<ChatCompletionRequest>("application/json")
            .Produces<ChatCompletion>().Produces<ChatCompletionChunk>(StatusCodes.Status200OK, "text/event-stream");
    }

    private static IEnumerable<Deployment> Ready(DeploymentManager deployments) =>
        deployments.List().Where(deployment => deployment.State == DeploymentStates.Ready);

    private static ModelEntry ToModel(Deployment deployment) =>
        new(deployment.Name, "model", deployment.CreatedAt.ToUnixTimeSeconds(), "modelops");

    private static IResult Json(ModelList list) => Results.Json(list, OpenAIJson.Default.ModelList);
}

/// <summary>POST /v1/chat/completions: a stream of chunks, or the same stream folded into one answer.</summary>
internal static class ChatCompletions
{
    /// <summary>Accepted and without effect on the answer, as OpenAI documents them.</summary>
    private static readonly string[] harmless = ["user", "metadata", "store", "safety_identifier", "prompt_cache_key", "service_tier"];

    public static async Task<IResult> CreateAsync(
        HttpContext context, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OpenAIJson.Default.ChatCompletionRequest, cancellationToken)
            ?? throw new BadHttpRequestException("the body is null");
        if (Validate(request, out var generation) is { Count: > 0 } errors) return Problems.Invalid(errors);

        // The first piece is awaited before anything is answered: what is wrong with a request is a status, not a broken stream.
        var pieces = router.GenerateAsync(generation, cancellationToken).GetAsyncEnumerator(cancellationToken);
        try
        {
            await pieces.MoveNextAsync();
        }
        catch
        {
            await pieces.DisposeAsync();
            throw;
        }
        var id = $"chatcmpl-{Guid.CreateVersion7(time.GetUtcNow()):N}";
        var created = time.GetUtcNow().ToUnixTimeSeconds();
        if (request.Stream != true) return await FoldAsync(id, created, request.Model, pieces);
        return TypedResults.ServerSentEvents(
            StreamAsync(id, created, request.Model, request.StreamOptions?.IncludeUsage == true, pieces, cancellationToken));
    }

    private static async Task<IResult> FoldAsync(string id, long created, string model, IAsyncEnumerator<GenerationPiece> pieces)
    {
        var text = new StringBuilder();
        await using (pieces)
        {
            do
            {
                text.Append(pieces.Current.Text);
                if (pieces.Current is { Finish: { } finish, Usage: { } usage })
                    return Results.Json(
                        new ChatCompletion(
                            id,
                            "chat.completion",
                            created,
                            model,
                            [new ChatChoice(0, new ChatAnswer("assistant", text.ToString(), Refusal: null), Logprobs: null, Text(finish))],
                            ToWire(usage)),
                        OpenAIJson.Default.ChatCompletion);
            }
            while (await pieces.MoveNextAsync());
        }
        throw new InferenceException(InferenceError.Unavailable, "the backend ended the answer without a finish reason");
    }

    private static async IAsyncEnumerable<SseItem<string>> StreamAsync(
        string id, long created, string model, bool includeUsage, IAsyncEnumerator<GenerationPiece> pieces, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        SseItem<string> Chunk(IReadOnlyList<ChunkChoice> choices, CompletionUsage? usage = null) => new(JsonSerializer.Serialize(
            new ChatCompletionChunk(id, "chat.completion.chunk", created, model, choices, usage), OpenAIJson.Default.ChatCompletionChunk));
        SseItem<string> Delta(string? role, string? content, string? finish = null) =>
            Chunk([new ChunkChoice(0, new ChunkDelta(role, content), Logprobs: null, finish)]);

        yield return Delta("assistant", "");
        await using (pieces)
        {
            for (var more = true; more;)
            {
                var piece = pieces.Current;
                if (piece.Text.Length > 0) yield return Delta(role: null, piece.Text);
                if (piece.Finish is { } finish)
                {
                    yield return Delta(role: null, content: null, Text(finish));
                    if (includeUsage && piece.Usage is { } usage) yield return Chunk([], ToWire(usage));
                    break;
                }
                string? broken = null;
                try
                {
                    more = await pieces.MoveNextAsync();
                }
                catch (InferenceException e)
                {
                    broken = e.Message; // the status is long sent: the error travels in the stream, as OpenAI's does
                }
                cancellationToken.ThrowIfCancellationRequested();
                if (broken is null) continue;
                yield return new(JsonSerializer.Serialize(
                    new OpenAIErrorEnvelope(new OpenAIError(broken, "server_error", Param: null, Code: null)), OpenAIJson.Default.OpenAIErrorEnvelope));
                yield break;
            }
        }
        yield return new("[DONE]");
    }

    /// <summary>Every fault of the request at once; <paramref name="generation"/> is good only if there is none.</summary>
    private static List<string> Validate(ChatCompletionRequest request, out GenerationRequest generation)
    {
        var errors = new List<string>();
        if (request.Messages.Count == 0) errors.Add("messages must have at least one message");
        var turns = request.Messages.Select((message, i) => new ChatTurn(message.Role, Content(message, i, errors))).ToList();
        if (request.Temperature is not (null or (>= 0 and <= 2))) errors.Add($"temperature must be from 0 to 2, not {request.Temperature}");
        if (request.TopP is not (null or (> 0 and <= 1))) errors.Add($"top_p must be above 0 and at most 1, not {request.TopP}");
        var maxTokens = request.MaxCompletionTokens ?? request.MaxTokens;
        if (maxTokens < 1) errors.Add($"max_tokens must be at least 1, not {maxTokens}");
        var stop = Stops(request.Stop, errors);
        errors.AddRange((request.Others ?? new Dictionary<string, JsonElement>())
            .Where(other => !harmless.Contains(other.Key, StringComparer.Ordinal) && !IsDefault(other.Key, other.Value))
            .Select(other => $"{other.Key} is not offered by this server"));
        generation = new GenerationRequest
        {
            Model = request.Model,
            Input = new GenerationInput.Chat(turns),
            MaxTokens = maxTokens,
            Stop = stop,
            Sampling = new SamplingSettings
            {
                Temperature = request.Temperature ?? 1,
                TopP = request.TopP ?? 1,
                Seed = request.Seed is { } seed ? unchecked((uint)seed) : (uint)RandomNumberGenerator.GetInt32(int.MaxValue),
            },
        };
        return errors;
    }

    private static string Content(ChatMessage message, int index, List<string> errors)
    {
        if (message.Role is not ("system" or "developer" or "user" or "assistant"))
            errors.Add($"messages[{index}].role '{message.Role}' is not offered; use system, developer, user or assistant");
        switch (message.Content)
        {
            case { ValueKind: JsonValueKind.String } text:
                return text.GetString()!;
            case { ValueKind: JsonValueKind.Array } parts when parts.EnumerateArray().All(IsTextPart):
                return string.Concat(parts.EnumerateArray().Select(part => part.GetProperty("text").GetString()));
            default:
                errors.Add($"messages[{index}].content must be a string or a list of parts of type text");
                return "";
        }
    }

    private static bool IsTextPart(JsonElement part) =>
        part.ValueKind == JsonValueKind.Object
        && part.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("text")
        && part.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String;

    private static IReadOnlyList<string> Stops(JsonElement? stop, List<string> errors)
    {
        switch (stop)
        {
            case null or { ValueKind: JsonValueKind.Null }:
                return [];
            case { ValueKind: JsonValueKind.String } one when one.GetString()!.Length > 0:
                return [one.GetString()!];
            case { ValueKind: JsonValueKind.Array } list when list.GetArrayLength() <= 4
                && list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String && item.GetString()!.Length > 0):
                return [.. list.EnumerateArray().Select(item => item.GetString()!)];
            default:
                errors.Add("stop must be a string or a list of up to four strings, none of them empty");
                return [];
        }
    }

    private static bool IsDefault(string name, JsonElement value) => value.ValueKind == JsonValueKind.Null || name switch
    {
        "n" => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var n) && n == 1,
        "frequency_penalty" or "presence_penalty" => value.ValueKind == JsonValueKind.Number && value.GetDouble() == 0,
        "logprobs" => value.ValueKind == JsonValueKind.False,
        "response_format" => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("type", out var type)
            && type.ValueKind == JsonValueKind.String && type.ValueEquals("text"),
        _ => false,
    };

    private static string Text(FinishReason reason) => reason == FinishReason.Length ? "length" : "stop";

    private static CompletionUsage ToWire(TokenUsage usage) =>
        new(usage.PromptTokens, usage.CompletionTokens, usage.PromptTokens + usage.CompletionTokens);
}
