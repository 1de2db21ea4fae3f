using ModelOps.Client;

namespace ModelOps.Cli.Chat;

/// <summary>A conversation with one model: what was said, and the next answer as it comes.</summary>
internal sealed class ChatSession(ModelOpsClient client, string model, string? system, double? temperature, int? maxTokens)
{
    private readonly List<ChatMessage> messages = system is null ? [] : [new ChatMessage("system", system)];

    /// <summary>Forgets what was said, except the system prompt.</summary>
    public void Reset() => messages.RemoveAll(message => message.Role != "system");

    /// <summary>Asks and passes each piece of the answer on. A question that got no whole answer is not remembered.</summary>
    public async Task<ChatAnswer> AskAsync(string question, Action<string>? onText, CancellationToken cancellationToken)
    {
        var request = new ChatRequest
        {
            Model = model,
            Messages = [.. messages, new ChatMessage("user", question)],
            Temperature = temperature,
            MaxTokens = maxTokens,
        };
        var answer = await client.Chat.CompleteAsync(request, onText, cancellationToken);
        messages.Add(new ChatMessage("user", question));
        messages.Add(new ChatMessage("assistant", answer.Content));
        return answer;
    }
}
