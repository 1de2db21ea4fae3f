using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text;

namespace ModelOps.Client;

/// <summary>Chat with deployed models over OpenAI's API.</summary>
public sealed class ChatClient
{
    private const string EndOfStream = "[DONE]";

    private readonly ApiConnection connection;

    internal ChatClient(ApiConnection connection) => this.connection = connection;

    /// <summary>Names that answer.</summary>
    public async Task<IReadOnlyList<ModelEntry>> ListModelsAsync(CancellationToken cancellationToken = default)
    {
        var list = await connection.GetAsync("v1/models", WireJson.Default.ModelList, cancellationToken).ConfigureAwait(false);
        return list.Data;
    }

    /// <summary>The answer as it is generated; never a cut one that looks complete.</summary>
    /// <exception cref="ModelOpsException">Unknown model, invalid request, or generation failed on the way.</exception>
    /// <exception cref="ServerUnreachableException">The stream broke before its end.</exception>
    public async IAsyncEnumerable<ChatChunk> StreamAsync(ChatRequest request, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var body = request with { Stream = true, StreamOptions = new ChatStreamOptions(IncludeUsage: true) };
        using var response = await connection.SendAsync(
            () => new HttpRequestMessage(HttpMethod.Post, "v1/chat/completions") { Content = new WireContent<ChatRequest>(body, WireJson.Default.ChatRequest) },
            cancellationToken).ConfigureAwait(false);
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            var events = SseParser.Create(stream).EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
            await using (events.ConfigureAwait(false))
            {
                while (await NextAsync(events).ConfigureAwait(false) is { } data)
                {
                    var chunk = WireResponse.Parse(Encoding.UTF8.GetBytes(data), WireJson.Default.ChatChunk);
                    if (chunk.Error is { } error)
                    {
                        throw new ModelOpsException(
                            new Problem { Type = ProblemTypes.Internal, Title = "Generation failed", Status = 500, Detail = error.Message });
                    }
                    yield return chunk;
                }
            }
        }
    }

    /// <summary>The whole answer: <see cref="StreamAsync"/> folded.</summary>
    /// <param name="onText">Gets each piece of text as it comes; null for none.</param>
    public async Task<ChatAnswer> CompleteAsync(
        ChatRequest request, Action<string>? onText = null, CancellationToken cancellationToken = default)
    {
        var answer = new ChatFold();
        await foreach (var chunk in StreamAsync(request, cancellationToken).ConfigureAwait(false))
        {
            answer.Add(chunk);
            foreach (var choice in chunk.Choices ?? [])
            {
                if (choice.Delta?.Content is { Length: > 0 } text) onText?.Invoke(text);
            }
        }
        return new ChatAnswer(answer.Content, answer.FinishReason ?? "", answer.Usage) { ToolCalls = answer.ToolCalls, Logprobs = answer.Logprobs };
    }

    /// <summary>Data of the next event; null after the one that ends the stream.</summary>
    private async Task<string?> NextAsync(IAsyncEnumerator<SseItem<string>> events)
    {
        try
        {
            if (await events.MoveNextAsync().ConfigureAwait(false))
            {
                return events.Current.Data == EndOfStream ? null : events.Current.Data;
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            throw connection.Unreachable(exception);
        }
        throw connection.Unreachable(new IOException("the answer was cut off before its end."));
    }
}
