using System.Runtime.CompilerServices;
using System.Text.Json;

namespace ModelOps.Inference;

/// <summary>A server with Ollama's API. It knows neither grammars, logit biases, forced tool calls nor ranking.</summary>
/// <param name="http">Its base address is the server's, with a slash at the end.</param>
public sealed class OllamaBackend(HttpClient http, string name) : IRemoteBackend
{
    private readonly BackendClient client = new(http, name);

    public async Task<IReadOnlyList<string>> ListModelsAsync(CancellationToken cancellationToken)
    {
        using var document = await client.GetAsync("api/tags", cancellationToken).ConfigureAwait(false);
        return client.Read(() => document.RootElement.GetProperty("models").EnumerateArray().Select(model => model.GetProperty("name").GetString()!).ToList());
    }

    public async IAsyncEnumerable<GenerationPiece> GenerateAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Refuse(request);
        var path = request.Input is GenerationInput.Chat ? "api/chat" : "api/generate";
        using var response = await client.PostAsync(path, writer => OllamaRequests.Write(writer, request), cancellationToken).ConfigureAwait(false);
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        using var reader = new StreamReader(stream);
        var lines = LinesAsync(reader, cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (lines.ConfigureAwait(false))
        {
            var calls = 0;
            while (await client.NextAsync(lines).ConfigureAwait(false))
            {
                var (piece, error) = client.Read(() => OllamaLine.Parse(lines.Current, calls));
                if (error is { } failure) throw client.Failed(failure);
                calls += piece.ToolCalls.Count;
                // Ollama ends an answer that calls tools with the reason "stop".
                if (piece.Finish == FinishReason.Stop && calls > 0) piece = piece with { Finish = FinishReason.ToolCalls };
                if (!piece.IsEmpty || piece.Finish is not null) yield return piece;
                if (piece.Finish is not null) yield break;
            }
        }
        throw client.CutOff();
    }

    public async Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken)
    {
        var texts = inputs.OfType<EmbeddingInput.Text>().Select(text => text.Value).ToList();
        if (texts.Count < inputs.Count) throw client.NotSupported("embeddings of tokens; send texts");
        using var document = await client.PostForDocumentAsync("api/embed", writer => OllamaRequests.WriteEmbed(writer, model, texts), cancellationToken).ConfigureAwait(false);
        return client.Read(() => new Embeddings(
            [
                .. document.RootElement.GetProperty("embeddings").EnumerateArray()
                    .Select(vector => vector.EnumerateArray().Select(value => value.GetSingle()).ToArray()),
            ],
            document.RootElement.TryGetProperty("prompt_eval_count", out var tokens) ? tokens.GetInt32() : 0));
    }

    public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken) =>
        Task.FromException<DocumentScores>(client.NotSupported("ranking"));

    private void Refuse(GenerationRequest request)
    {
        if (request.Constraint is OutputConstraint.Grammar) throw client.NotSupported("grammars; give it a JSON schema");
        if (request.Sampling.LogitBias.Count > 0) throw client.NotSupported("logit_bias");
        if (request.Input is GenerationInput.Chat { ToolChoice: ToolChoice.Required or ToolChoice.Function }) throw client.NotSupported("forced tool calls; use tool_choice auto or none");
    }

    private static async IAsyncEnumerable<string> LinesAsync(StreamReader reader, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
            if (line.Length > 0) yield return line;
    }
}

/// <summary>A line of <c>api/chat</c> or <c>api/generate</c>.</summary>
internal static class OllamaLine
{
    /// <param name="calls">Tool calls that came before.</param>
    public static (GenerationPiece Piece, JsonElement? Error) Parse(string json, int calls)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        if (root.TryGetProperty("error", out var error)) return (new(""), error.Clone());
        var message = root.TryGetProperty("message", out var chat) ? chat : root;
        var done = root.TryGetProperty("done", out var end) && end.ValueKind == JsonValueKind.True;
        var piece = new GenerationPiece(
            Text(message, "content") ?? Text(root, "response") ?? "",
            !done ? null : Text(root, "done_reason") == "length" ? FinishReason.Length : FinishReason.Stop,
            done ? new(Count(root, "prompt_eval_count"), Count(root, "eval_count")) : null)
        {
            Reasoning = Text(message, "thinking") ?? "",
            ToolCalls = message.TryGetProperty("tool_calls", out var toolCalls) && toolCalls.ValueKind == JsonValueKind.Array
                ? [.. toolCalls.EnumerateArray().Select((call, i) => ReadToolCall(call, calls + i))]
                : [],
            Logprobs = root.TryGetProperty("logprobs", out var logprobs) && logprobs.ValueKind == JsonValueKind.Array
                ? [.. logprobs.EnumerateArray().Select(OpenAIChunk.ReadLogprob)]
                : [],
            Times = done ? new(TimeSpan.Zero, Time(root, "prompt_eval_duration"), Time(root, "eval_duration"), Time(root, "load_duration")) : null,
        };
        return (piece, null);
    }

    private static ToolCallDelta ReadToolCall(JsonElement call, int index)
    {
        var function = call.GetProperty("function");
        var id = Text(call, "id") ?? $"call_{Guid.NewGuid():N}"; // Ollama may give none, and OpenAI's clients need one
        return new(index, id, function.GetProperty("name").GetString(), function.TryGetProperty("arguments", out var arguments) ? arguments.GetRawText() : "{}");
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;

    private static int Count(JsonElement element, string name) => element.TryGetProperty(name, out var count) ? count.GetInt32() : 0;

    private static TimeSpan Time(JsonElement element, string name) =>
        element.TryGetProperty(name, out var nanoseconds) ? TimeSpan.FromTicks(nanoseconds.GetInt64() / TimeSpan.NanosecondsPerTick) : TimeSpan.Zero;
}
