using System.Text;

namespace ModelOps.Client;

/// <summary>An answer as far as its chunks have come.</summary>
public sealed class ChatFold
{
    private readonly StringBuilder content = new();
    private readonly List<ChatTokenLogprob> logprobs = [];
    private readonly SortedList<int, (string Id, string Name, StringBuilder Arguments)> calls = [];

    public string Content => content.ToString();

    /// <summary>The arguments of the last may lack their end.</summary>
    public IReadOnlyList<ChatToolCall> ToolCalls => calls.Count == 0
        ? [] // the one empty list: answers without calls are equal if they say the same
        : [.. calls.Values.Select(call => new ChatToolCall(call.Id, new ChatFunctionCall(call.Name, call.Arguments.ToString())))];

    public IReadOnlyList<ChatTokenLogprob> Logprobs => logprobs.Count == 0 ? Array.Empty<ChatTokenLogprob>() : logprobs;

    /// <summary>Null until the end.</summary>
    public string? FinishReason { get; private set; }

    /// <summary>Null until the end.</summary>
    public ChatUsage? Usage { get; private set; }

    /// <summary>Whether anything of the answer is there.</summary>
    public bool HasBegun => content.Length > 0 || calls.Count > 0;

    public void Add(ChatChunk chunk)
    {
        foreach (var choice in chunk.Choices ?? [])
        {
            content.Append(choice.Delta?.Content);
            foreach (var piece in choice.Delta?.ToolCalls ?? []) Add(piece);
            logprobs.AddRange(choice.Logprobs?.Content ?? []);
            FinishReason = choice.FinishReason ?? FinishReason;
        }
        Usage = chunk.Usage ?? Usage;
    }

    private void Add(ChatToolCallDelta piece)
    {
        if (!calls.TryGetValue(piece.Index, out var call)) call = (piece.Id ?? "", piece.Function?.Name ?? "", new StringBuilder());
        call.Arguments.Append(piece.Function?.Arguments);
        calls[piece.Index] = call;
    }
}
