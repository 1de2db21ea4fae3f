using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace ModelOps.Inference;

/// <summary>
/// A server with OpenAI's API: vLLM, TGI, LiteLLM, llama-server, another ModelOps. What their API has beyond OpenAI's (top_k, min_p, repetition_penalty, grammar,
/// chat_template_kwargs) is sent only where the request asks for it.
/// </summary>
/// <param name="http">Its base address ends with <c>/v1/</c>.</param>
public sealed class OpenAIBackend(HttpClient http, string name) : IRemoteBackend
{
    private const string EndOfStream = "[DONE]";
    private readonly BackendClient client = new(http, name);

    public async Task<IReadOnlyList<string>> ListModelsAsync(CancellationToken cancellationToken)
    {
        using var document = await client.GetAsync("models", cancellationToken).ConfigureAwait(false);
        return client.Read(() => document.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!).ToList());
    }

    public async IAsyncEnumerable<GenerationPiece> GenerateAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var path = request.Input is GenerationInput.Chat ? "chat/completions" : "completions";
        using var response = await client.PostAsync(path, writer => OpenAIRequests.Write(writer, request), cancellationToken).ConfigureAwait(false);
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            var events = SseParser.Create(stream).EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
            await using (events.ConfigureAwait(false))
            {
                // The finish reason comes before the usage: it is held until the stream's end, for the last piece has both.
                FinishReason? finish = null;
                TokenUsage? usage = null;
                while (await client.NextAsync(events).ConfigureAwait(false) && events.Current.Data != EndOfStream)
                {
                    var chunk = client.Read(() => OpenAIChunk.Parse(events.Current.Data));
                    if (chunk.Error is { } error) throw client.Failed(error);
                    if (!chunk.Piece.IsEmpty) yield return chunk.Piece;
                    finish = chunk.Finish ?? finish;
                    usage = chunk.Usage ?? usage;
                }
                if (finish is null) throw client.CutOff();
                yield return new GenerationPiece("", finish, usage);
            }
        }
    }

    public async Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken)
    {
        // OpenAI takes either texts or tokens in one request.
        if (inputs.Select(input => input.GetType()).Distinct().Skip(1).Any())
            throw new InferenceException(InferenceError.InvalidRequest, "the inputs are texts and tokens; a request has one of the two");
        using var document = await client.PostForDocumentAsync("embeddings", writer => OpenAIRequests.WriteEmbeddings(writer, model, inputs), cancellationToken).ConfigureAwait(false);
        return client.Read(() => new Embeddings(
            [
                .. document.RootElement.GetProperty("data").EnumerateArray().OrderBy(item => item.GetProperty("index").GetInt32())
                    .Select(item => item.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle()).ToArray()),
            ],
            PromptTokens(document.RootElement)));
    }

    public async Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken)
    {
        using var document = await client.PostForDocumentAsync("rerank", writer => OpenAIRequests.WriteRerank(writer, model, query, documents), cancellationToken).ConfigureAwait(false);
        return client.Read(() =>
        {
            var scores = new float[documents.Count];
            foreach (var result in document.RootElement.GetProperty("results").EnumerateArray())
                scores[result.GetProperty("index").GetInt32()] = result.GetProperty("relevance_score").GetSingle();
            return new DocumentScores(scores, PromptTokens(document.RootElement));
        });
    }

    private static int PromptTokens(JsonElement answer) =>
        answer.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object && usage.TryGetProperty("prompt_tokens", out var tokens)
            ? tokens.GetInt32()
            : 0;
}

/// <summary>A chunk of <c>chat/completions</c> or <c>completions</c>.</summary>
internal sealed record OpenAIChunk(GenerationPiece Piece, FinishReason? Finish, TokenUsage? Usage, JsonElement? Error)
{
    public static OpenAIChunk Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        if (Member(root, "error") is { } error) return new(new(""), null, null, error.Clone());
        var usage = Member(root, "usage") is { } counts ? ReadUsage(counts) : null;
        if (Member(root, "choices") is not { ValueKind: JsonValueKind.Array } choices || choices.GetArrayLength() == 0) return new(new(""), null, usage, null);
        var choice = choices[0];
        return new(ReadPiece(choice), ReadFinish(Text(choice, "finish_reason")), usage, null);
    }

    private static GenerationPiece ReadPiece(JsonElement choice)
    {
        var delta = Member(choice, "delta");
        return new GenerationPiece(delta is { } chat ? Text(chat, "content") ?? "" : Text(choice, "text") ?? "")
        {
            Reasoning = delta is { } thinking ? Text(thinking, "reasoning_content") ?? Text(thinking, "reasoning") ?? "" : "",
            ToolCalls = delta is { } calling && Member(calling, "tool_calls") is { ValueKind: JsonValueKind.Array } calls ? [.. calls.EnumerateArray().Select(ReadToolCall)] : [],
            Logprobs = Member(choice, "logprobs") is { ValueKind: JsonValueKind.Object } logprobs ? [.. ReadLogprobs(logprobs)] : [],
        };
    }

    private static ToolCallDelta ReadToolCall(JsonElement call)
    {
        var function = Member(call, "function");
        return new(
            call.GetProperty("index").GetInt32(),
            Text(call, "id"),
            function is { } named ? Text(named, "name") : null,
            function is { } filled ? Text(filled, "arguments") ?? "" : "");
    }

    private static IEnumerable<TokenLogprob> ReadLogprobs(JsonElement logprobs)
    {
        if (Member(logprobs, "content") is { ValueKind: JsonValueKind.Array } content) return content.EnumerateArray().Select(ReadLogprob);
        // The older shape of completions: parallel lists.
        if (Member(logprobs, "tokens") is not { ValueKind: JsonValueKind.Array } tokens) return [];
        var values = logprobs.GetProperty("token_logprobs");
        var tops = Member(logprobs, "top_logprobs");
        return Enumerable.Range(0, tokens.GetArrayLength()).Select(i => new TokenLogprob(
            Encoding.UTF8.GetBytes(tokens[i].GetString()!),
            values[i].ValueKind == JsonValueKind.Number ? values[i].GetSingle() : 0,
            tops is { ValueKind: JsonValueKind.Array } top && top[i].ValueKind == JsonValueKind.Object
                ? [.. top[i].EnumerateObject().Select(other => new TokenLogprob(Encoding.UTF8.GetBytes(other.Name), other.Value.GetSingle(), [])).OrderByDescending(other => other.LogProbability)]
                : []));
    }

    internal static TokenLogprob ReadLogprob(JsonElement token) => new(
        Member(token, "bytes") is { ValueKind: JsonValueKind.Array } bytes
            ? bytes.EnumerateArray().Select(value => value.GetByte()).ToArray()
            : Encoding.UTF8.GetBytes(token.GetProperty("token").GetString()!),
        token.GetProperty("logprob").GetSingle(),
        Member(token, "top_logprobs") is { ValueKind: JsonValueKind.Array } top ? [.. top.EnumerateArray().Select(ReadLogprob)] : []);

    private static FinishReason? ReadFinish(string? reason) => reason switch
    {
        null => null,
        "length" => FinishReason.Length,
        "tool_calls" => FinishReason.ToolCalls,
        _ => FinishReason.Stop,
    };

    private static TokenUsage ReadUsage(JsonElement usage) => new(
        usage.GetProperty("prompt_tokens").GetInt32(),
        usage.TryGetProperty("completion_tokens", out var completion) ? completion.GetInt32() : 0,
        Member(usage, "prompt_tokens_details") is { } details && Member(details, "cached_tokens") is { } cached ? cached.GetInt32() : 0);

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? Text(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
