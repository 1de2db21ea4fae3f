using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Inference;
using ModelOps.Server.Generations;

namespace ModelOps.Server.OpenAI;

// The shapes of completions in OpenAI's API description (openai/openai-openapi), as far as they are offered.

public sealed record CompletionRequest : GenerationBody
{
    /// <summary>A string, or a list of strings.</summary>
    public required JsonElement Prompt { get; init; }

    /// <summary>Whether the answer begins with the prompt.</summary>
    public bool? Echo { get; init; }

    /// <summary>Alternatives told for each token, with log probabilities.</summary>
    public int? Logprobs { get; init; }
}

public sealed record Completion(
    string Id, string Object, long Created, string Model, IReadOnlyList<CompletionChoice> Choices,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] CompletionUsage? Usage);

/// <param name="FinishReason">Null on the chunks of a stream before the last.</param>
public sealed record CompletionChoice(int Index, string Text, CompletionLogprobs? Logprobs, string? FinishReason);

/// <summary>Parallel lists: an entry for each token.</summary>
/// <param name="TextOffset">Where the token begins in the answer's text, in characters.</param>
public sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<float> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, float>> TopLogprobs, IReadOnlyList<int> TextOffset);

/// <summary>POST /v1/completions: prompts taken as they are, without a chat template.</summary>
internal static class Completions
{
    private const int MostPrompts = 128;
    private const int MostAlternatives = 20;

    public static async Task<IResult> CreateAsync(HttpContext context, ModelRouter router, TimeProvider time, CancellationToken cancellationToken)
    {
        var request = await context.Request.ReadFromJsonAsync(OpenAIJson.Default.CompletionRequest, cancellationToken)
            ?? throw new BadHttpRequestException("the body is null");
        var faults = new Faults();
        var prompts = Prompts(request.Prompt, faults);
        var generations = Read(request, prompts, faults);
        if (faults.Any) return Problems.Invalid(faults);
        var answers = await StartedAnswers.BeginAsync(router, generations, cancellationToken);
        var started = new StartedCompletion(request, prompts, answers, time.GetUtcNow());
        if (request.Stream != true) return Results.Json(await started.FoldAsync(), OpenAIJson.Default.Completion);
        return TypedResults.ServerSentEvents(EventStream.Of(started.ChunksAsync(cancellationToken), OpenAIJson.Default.Completion, context, cancellationToken));
    }

    private static IReadOnlyList<GenerationRequest> Read(CompletionRequest request, IReadOnlyList<string> prompts, Faults faults)
    {
        faults.Check("logprobs", request.Logprobs, value => value is >= 0 and <= MostAlternatives, $"from 0 to {MostAlternatives}");
        if (request is { Echo: true, Logprobs: not null }) faults.Add("echo", "and logprobs exclude each other: a prompt's tokens are read without them");
        GenerationRules.RefuseOthers(request.Others, (name, value) => IsDefault(name, value, request.N ?? 1), faults);
        var generation = GenerationRules.Read(request, new GenerationInput.Prompt(""), request.MaxTokens ?? 16, request.Logprobs, constraint: null, faults);
        return faults.Any ? [] : [.. prompts.SelectMany(prompt => GenerationRules.Repeat(generation with { Input = new GenerationInput.Prompt(prompt) }, request.N ?? 1))];
    }

    private static IReadOnlyList<string> Prompts(JsonElement prompt, Faults faults)
    {
        switch (prompt.ValueKind)
        {
            case JsonValueKind.String:
                return [prompt.GetString()!];
            case JsonValueKind.Array when prompt.GetArrayLength() is > 0 and <= MostPrompts && prompt.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String):
                return [.. prompt.EnumerateArray().Select(item => item.GetString()!)];
            default:
                faults.Add("prompt", $"must be a string or a list of 1 to {MostPrompts} strings; tokens are not taken here");
                return [];
        }
    }

    private static bool IsDefault(string name, JsonElement value, int n) => name switch
    {
        "best_of" => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var best) && best == n,
        "suffix" => value.ValueKind == JsonValueKind.String && value.ValueEquals(""),
        _ => false,
    };
}

/// <summary>Completions whose first piece is there: to be told as chunks, or folded; one of the two, once.</summary>
internal sealed class StartedCompletion(CompletionRequest request, IReadOnlyList<string> prompts, StartedAnswers answers, DateTimeOffset now)
{
    private readonly string id = $"cmpl-{Guid.CreateVersion7(now):N}";
    private readonly long created = now.ToUnixTimeSeconds();
    private readonly int perPrompt = request.N ?? 1;

    private int Count => prompts.Count * perPrompt;

    public async Task<Completion> FoldAsync()
    {
        var folded = await FoldedAnswer.AllAsync(answers.PiecesAsync(), Count);
        return Told(
            [.. folded.Select((answer, i) => new CompletionChoice(i, Echo(i) + answer.Text, Logprobs(answer.Logprobs, offset: 0), Finish(answer.Finish!.Value)))],
            OpenAIText.Of(FoldedAnswer.Sum([.. folded.Select(answer => answer.Usage)], perPrompt)));
    }

    public async IAsyncEnumerable<Completion> ChunksAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var usages = new TokenUsage?[Count];
        var offsets = new int[Count];
        var open = Count;
        if (request.Echo == true)
            for (var i = 0; i < Count; i++) yield return Told([new(i, Echo(i), null, null)]);
        await foreach (var (index, piece) in answers.PiecesAsync().WithCancellation(cancellationToken))
        {
            if (!piece.IsEmpty || piece.Finish is not null)
                yield return Told([new(index, piece.Text, Logprobs(piece.Logprobs, offsets[index]), piece.Finish is { } finish ? Finish(finish) : null)]);
            offsets[index] += piece.Text.Length;
            if (piece.Finish is null) continue;
            usages[index] = piece.Usage;
            open--;
        }
        if (open > 0) throw FoldedAnswer.CutOff();
        if (request.StreamOptions?.IncludeUsage == true && OpenAIText.Of(FoldedAnswer.Sum(usages, perPrompt)) is { } usage) yield return Told([], usage);
    }

    private Completion Told(IReadOnlyList<CompletionChoice> choices, CompletionUsage? usage = null) =>
        new(id, "text_completion", created, request.Model, choices, usage);

    private string Echo(int index) => request.Echo == true ? prompts[index / perPrompt] : "";

    private static string Finish(FinishReason reason) => reason == FinishReason.Length ? "length" : "stop";

    private CompletionLogprobs? Logprobs(IReadOnlyList<TokenLogprob> logprobs, int offset)
    {
        if (request.Logprobs is null) return null;
        var offsets = new List<int>();
        foreach (var logprob in logprobs)
        {
            offsets.Add(offset);
            offset += Text(logprob).Length;
        }
        return new([.. logprobs.Select(Text)], [.. logprobs.Select(logprob => logprob.LogProbability)], [.. logprobs.Select(Alternatives)], offsets);
    }

    private static Dictionary<string, float> Alternatives(TokenLogprob logprob)
    {
        var byText = new Dictionary<string, float>(StringComparer.Ordinal);
        foreach (var other in logprob.Top) byText.TryAdd(Text(other), other.LogProbability); // parts of characters may look the same: the likeliest stays
        return byText;
    }

    private static string Text(TokenLogprob logprob) => Encoding.UTF8.GetString(logprob.Token.Span);
}
