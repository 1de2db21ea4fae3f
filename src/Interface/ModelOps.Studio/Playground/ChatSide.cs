using System.Text;
using ModelOps.Client;

namespace ModelOps.Studio.Playground;

/// <summary>A talk with one model.</summary>
public sealed class ChatSide
{
    public required string Model { get; set; }

    public List<ChatTurn> Turns { get; } = [];

    public bool Answering => Turns is [.., { Done: false }];

    internal ChatTurn Begin(string asked)
    {
        var turn = new ChatTurn(asked);
        Turns.Add(turn);
        return turn;
    }
}

/// <summary>A question and its answer, as far as it has come.</summary>
public sealed class ChatTurn(string asked)
{
    private static readonly TimeSpan measurable = TimeSpan.FromMilliseconds(20);
    private readonly StringBuilder answer = new();

    public string Asked => asked;

    public string Answer => answer.ToString();

    public bool Done { get; internal set; }

    public bool Stopped { get; internal set; }

    public Problem? Fault { get; internal set; }

    /// <summary>Null while there is none.</summary>
    public TimeSpan? UntilFirst { get; private set; }

    public TimeSpan Took { get; private set; }

    public string? FinishReason { get; private set; }

    public ChatUsage? Usage { get; private set; }

    /// <summary>Of those behind the first: what decoding takes, without the prompt. Null of an answer that came all at once.</summary>
    public double? TokensPerSecond =>
        Usage is { CompletionTokens: > 1 and var tokens } && UntilFirst is { } first && Took - first > measurable ? (tokens - 1) / (Took - first).TotalSeconds : null;

    internal void Take(ChatChunk chunk, TimeSpan since)
    {
        Took = since;
        foreach (var choice in chunk.Choices ?? [])
        {
            if (choice.Delta?.Content is { Length: > 0 } text)
            {
                UntilFirst ??= since;
                answer.Append(text);
            }
            FinishReason = choice.FinishReason ?? FinishReason;
        }
        Usage = chunk.Usage ?? Usage;
    }
}
