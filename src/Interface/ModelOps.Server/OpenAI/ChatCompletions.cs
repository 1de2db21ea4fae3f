using System.Runtime.CompilerServices;
using System.Text.Json;
using ModelOps.Inference;
using ModelOps.Server.Generations;

namespace ModelOps.Server.OpenAI;

/// <summary>POST /v1/chat/completions: a stream of chunks, or the same stream folded into one answer.</summary>
internal static class ChatCompletions
{
    private const int MostAlternatives = 20;

    public static async Task<IResult> CreateAsync(HttpContext context, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OpenAIJson.Default.ChatCompletionRequest, cancellationToken)
            ?? throw new BadHttpRequestException("the body is null");
        var faults = new Faults();
        var generations = Read(request, faults);
        if (faults.Any) return Problems.Invalid(faults);
        var chat = await BeginAsync(request, generations, router, time, cancellationToken);
        if (request.Stream != true) return Results.Json(await chat.FoldAsync(), OpenAIJson.Default.ChatCompletion);
        return TypedResults.ServerSentEvents(EventStream.Of(chat.ChunksAsync(cancellationToken), OpenAIJson.Default.ChatCompletionChunk, context, cancellationToken));
    }

    /// <summary>Returns once the first piece is there.</summary>
    /// <exception cref="InferenceException">The request is refused.</exception>
    public static async Task<StartedChat> BeginAsync(
        ChatCompletionRequest request, IReadOnlyList<GenerationRequest> generations, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var answers = await StartedAnswers.BeginAsync(router, generations, cancellationToken);
        return new StartedChat(request, generations.Count, answers, time.GetUtcNow());
    }

    /// <summary>A generation for each answer that is wanted; good only if no fault was added.</summary>
    public static IReadOnlyList<GenerationRequest> Read(ChatCompletionRequest request, Faults faults)
    {
        if (request.Messages.Count == 0) faults.Add("messages", "must have at least one message");
        var turns = faults.Present("messages", request.Messages).Select((message, i) => ChatInput.Turn(message, $"messages[{i}]", faults)).ToList();
        var tools = ChatInput.Tools(request.Tools, faults);
        faults.Check("top_logprobs", request.TopLogprobs, value => value is >= 0 and <= MostAlternatives, $"from 0 to {MostAlternatives}");
        if (request is { TopLogprobs: not null, Logprobs: not true }) faults.Add("top_logprobs", "needs logprobs to be true");
        GenerationRules.RefuseOthers(request.Others, IsDefault, faults);
        var chat = new GenerationInput.Chat(turns)
        {
            Tools = tools,
            ToolChoice = ChatInput.Choice(request.ToolChoice, tools, faults),
            TemplateVariables = TemplateVariables(request),
        };
        var generation = GenerationRules.Read(
            request, chat, request.MaxCompletionTokens ?? request.MaxTokens, request.Logprobs == true ? request.TopLogprobs ?? 0 : null,
            ChatInput.Format(request.ResponseFormat, faults), faults);
        return GenerationRules.Repeat(generation, faults.Any ? 1 : request.N ?? 1);
    }

    private static IReadOnlyDictionary<string, JsonElement>? TemplateVariables(ChatCompletionRequest request) =>
        request.ReasoningEffort is not { } effort ? request.ChatTemplateKwargs
        : new Dictionary<string, JsonElement>(request.ChatTemplateKwargs ?? new Dictionary<string, JsonElement>(), StringComparer.Ordinal)
        {
            ["reasoning_effort"] = JsonSerializer.SerializeToElement(effort, OpenAIJson.Default.String),
        };

    private static bool IsDefault(string name, JsonElement value) => name switch
    {
        "modalities" => value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String && item.ValueEquals("text")),
        "functions" => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0,
        _ => false,
    };
}

/// <summary>A chat whose first piece is there: to be told as chunks, or folded; one of the two, once.</summary>
internal sealed class StartedChat(ChatCompletionRequest request, int count, StartedAnswers answers, DateTimeOffset now)
{
    private readonly string id = $"chatcmpl-{Guid.CreateVersion7(now):N}";
    private readonly long created = now.ToUnixTimeSeconds();

    public async Task<ChatCompletion> FoldAsync()
    {
        var folded = await FoldedAnswer.AllAsync(PiecesAsync(), count);
        return new(
            id, "chat.completion", created, request.Model,
            [.. folded.Select((answer, i) => new ChatChoice(i, Answer(answer), Logprobs(answer.Logprobs), OpenAIText.Of(answer.Finish!.Value)))],
            OpenAIText.Of(FoldedAnswer.Sum([.. folded.Select(answer => answer.Usage)], count)));
    }

    public async IAsyncEnumerable<ChatCompletionChunk> ChunksAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var usages = new TokenUsage?[count];
        var open = count;
        for (var i = 0; i < count; i++) yield return Chunk(i, new ChunkDelta { Role = "assistant", Content = "" });
        await foreach (var (index, piece) in PiecesAsync().WithCancellation(cancellationToken))
        {
            if (!piece.IsEmpty) yield return Chunk(index, Delta(piece), Logprobs(piece.Logprobs));
            if (piece.Finish is not { } finish) continue;
            usages[index] = piece.Usage;
            open--;
            yield return Chunk(index, new ChunkDelta(), finish: OpenAIText.Of(finish));
        }
        if (open > 0) throw FoldedAnswer.CutOff();
        if (request.StreamOptions?.IncludeUsage == true && OpenAIText.Of(FoldedAnswer.Sum(usages, count)) is { } usage)
            yield return new(id, "chat.completion.chunk", created, request.Model, [], usage);
    }

    private IAsyncEnumerable<AnswerPiece> PiecesAsync() => answers.PiecesAsync(oneToolCall: request.ParallelToolCalls == false);

    private ChatCompletionChunk Chunk(int index, ChunkDelta delta, ChatLogprobs? logprobs = null, string? finish = null) =>
        new(id, "chat.completion.chunk", created, request.Model, [new ChunkChoice(index, delta, logprobs, finish)], Usage: null);

    private static ChunkDelta Delta(GenerationPiece piece) => new()
    {
        Content = piece.Text.Length > 0 ? piece.Text : null,
        ReasoningContent = piece.Reasoning.Length > 0 ? piece.Reasoning : null,
        ToolCalls = piece.ToolCalls.Count == 0 ? null
            : [.. piece.ToolCalls.Select(call => new ChunkToolCall(call.Index, new(call.Name, call.Arguments)) { Id = call.Id, Type = call.Id is null ? null : "function" })],
    };

    private static ChatAnswer Answer(FoldedAnswer answer)
    {
        var calls = answer.ToolCalls;
        return new ChatAnswer("assistant", answer.Text.Length == 0 && calls.Count > 0 ? null : answer.Text, Refusal: null)
        {
            ReasoningContent = answer.Reasoning.Length > 0 ? answer.Reasoning : null,
            ToolCalls = calls.Count == 0 ? null : [.. calls.Select(call => new ChatToolCall(call.Id, "function", new(call.Name, call.Arguments)))],
        };
    }

    private ChatLogprobs? Logprobs(IReadOnlyList<TokenLogprob> logprobs) =>
        request.Logprobs == true ? new([.. logprobs.Select(OpenAIText.Of)], Refusal: null) : null;
}
