using System.Text;
using ModelOps.Inference;

namespace ModelOps.Server.Generations;

/// <summary>A whole answer: the pieces of a stream, put together.</summary>
internal sealed class FoldedAnswer
{
    private readonly StringBuilder text = new();
    private readonly StringBuilder reasoning = new();
    private readonly SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)> calls = [];
    private readonly List<TokenLogprob> logprobs = [];

    public string Text => text.ToString();

    /// <summary>Empty where the model does not mark what it thinks.</summary>
    public string Reasoning => reasoning.ToString();

    public IReadOnlyList<ToolCall> ToolCalls => [.. calls.Values.Select(call => new ToolCall(call.Id, call.Name, call.Arguments.ToString()))];

    public IReadOnlyList<TokenLogprob> Logprobs => logprobs;

    /// <summary>Null until the last piece.</summary>
    public FinishReason? Finish { get; private set; }

    public TokenUsage? Usage { get; private set; }

    public GenerationTimes? Times { get; private set; }

    /// <param name="count">Answers in the stream.</param>
    /// <exception cref="InferenceException">It broke, or ended before an answer was whole.</exception>
    public static async Task<IReadOnlyList<FoldedAnswer>> AllAsync(IAsyncEnumerable<AnswerPiece> pieces, int count)
    {
        FoldedAnswer[] answers = [.. Enumerable.Range(0, count).Select(_ => new FoldedAnswer())];
        await foreach (var (index, piece) in pieces) answers[index].Add(piece);
        return Array.TrueForAll(answers, answer => answer.Finish is not null) ? answers : throw CutOff();
    }

    public static InferenceException CutOff() => new(InferenceError.Unavailable, "the backend ended the answer without a finish reason");

    /// <summary>What a prompt and its answers cost: the prompt counts once for all of its answers. Null where a backend does not count.</summary>
    /// <param name="usages">Prompt by prompt.</param>
    /// <param name="perPrompt">Answers to each prompt.</param>
    public static TokenUsage? Sum(IReadOnlyList<TokenUsage?> usages, int perPrompt)
    {
        if (usages.Any(usage => usage is null)) return null;
        var prompts = usages.Where((_, i) => i % perPrompt == 0).ToList();
        return new(prompts.Sum(usage => usage!.PromptTokens), usages.Sum(usage => usage!.CompletionTokens), prompts.Sum(usage => usage!.CachedPromptTokens));
    }

    public void Add(GenerationPiece piece)
    {
        text.Append(piece.Text);
        reasoning.Append(piece.Reasoning);
        logprobs.AddRange(piece.Logprobs);
        foreach (var delta in piece.ToolCalls)
        {
            if (!calls.TryGetValue(delta.Index, out var call))
                calls[delta.Index] = call = (delta.Id ?? throw Nameless(), delta.Name ?? throw Nameless(), new());
            call.Arguments.Append(delta.Arguments);
        }
        Finish = piece.Finish ?? Finish;
        Usage = piece.Usage ?? Usage;
        Times = piece.Times ?? Times;
    }

    private static InferenceException Nameless() => new(InferenceError.Unavailable, "the backend began a tool call without its id and name");
}
