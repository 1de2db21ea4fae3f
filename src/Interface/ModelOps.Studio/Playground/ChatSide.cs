using ModelOps.Client;

namespace ModelOps.Studio.Playground;

/// <summary>A talk with one model.</summary>
public sealed class ChatSide
{
    public required string Model { get; set; }

    public List<ChatTurn> Turns { get; } = [];

    public bool Answering => Turns is [.., { Done: false }];

    /// <summary>What was said so far, as the model gets it with the next question.</summary>
    internal IEnumerable<ChatMessage> Talk => Turns.Where(turn => turn.Fault is null).SelectMany(turn => turn.Messages);

    internal ChatTurn Begin(string asked, AnswerForm form)
    {
        var turn = new ChatTurn(asked, form);
        Turns.Add(turn);
        return turn;
    }
}

/// <summary>A question and its answer, as far as it has come.</summary>
public sealed class ChatTurn(string asked, AnswerForm form)
{
    private static readonly TimeSpan measurable = TimeSpan.FromMilliseconds(20);

    public string Asked => asked;

    public AnswerForm Form => form;

    public ChatFold Fold { get; } = new();

    public string Answer => Fold.Content;

    public IReadOnlyList<ChatToolCall> Calls => Fold.ToolCalls;

    public bool Done { get; internal set; }

    public bool Stopped { get; internal set; }

    /// <summary>An answer in words that came to its end.</summary>
    public bool IsWhole => Done && !Stopped && Fault is null && Calls.Count == 0 && !string.IsNullOrWhiteSpace(Answer);

    public Problem? Fault { get; internal set; }

    /// <summary>Null while there is none.</summary>
    public TimeSpan? UntilFirst { get; private set; }

    public TimeSpan Took { get; private set; }

    /// <summary>Of those behind the first: what decoding takes, without the prompt. Null of an answer that came all at once.</summary>
    public double? TokensPerSecond =>
        Fold.Usage is { CompletionTokens: > 1 and var tokens } && UntilFirst is { } first && Took - first > measurable ? (tokens - 1) / (Took - first).TotalSeconds : null;

    internal IEnumerable<ChatMessage> Messages =>
        [new("user", Asked), new("assistant", Answer) { ToolCalls = Calls is { Count: > 0 } calls ? calls : null }];

    internal void Take(ChatChunk chunk, TimeSpan since)
    {
        Took = since;
        Fold.Add(chunk);
        if (Fold.HasBegun) UntilFirst ??= since;
    }
}
