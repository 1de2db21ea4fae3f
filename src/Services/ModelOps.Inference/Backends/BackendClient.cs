using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace ModelOps.Inference;

/// <summary>JSON requests to another server, and what its refusals mean.</summary>
/// <param name="http">Its base address ends with a slash; it has no timeout of its own.</param>
/// <param name="name">The backend's name in messages.</param>
internal sealed class BackendClient(HttpClient http, string name)
{
    private const int MostErrorBytes = 64 * 1024;
    private static readonly MediaTypeHeaderValue json = new("application/json");

    /// <returns>The answer's head; its body is still to be read.</returns>
    /// <exception cref="InferenceException">It refused, or does not answer.</exception>
    public Task<HttpResponseMessage> PostAsync(string path, Action<Utf8JsonWriter> write, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, path, Body(write), cancellationToken);

    /// <inheritdoc cref="PostAsync"/>
    public async Task<JsonDocument> PostForDocumentAsync(string path, Action<Utf8JsonWriter> write, CancellationToken cancellationToken)
    {
        using var response = await PostAsync(path, write, cancellationToken).ConfigureAwait(false);
        return await DocumentAsync(response, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc cref="PostAsync"/>
    public async Task<JsonDocument> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, path, body: null, cancellationToken).ConfigureAwait(false);
        return await DocumentAsync(response, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The next item of a stream; what breaks it is the backend's fault.</summary>
    public async Task<bool> NextAsync<T>(IAsyncEnumerator<T> items)
    {
        try
        {
            return await items.MoveNextAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            throw Broken(e);
        }
    }

    public InferenceException CutOff() => new(InferenceError.Unavailable, $"the backend '{name}' ended its answer before it was whole");

    /// <summary>An error that came where an answer was due.</summary>
    /// <param name="error">OpenAI's error object, or Ollama's text.</param>
    public InferenceException Failed(JsonElement error) => new(InferenceError.Unavailable, $"the backend '{name}' failed: {MessageOf(error)}");

    public InferenceException NotSupported(string what) => new(InferenceError.NotSupported, $"the backend '{name}' has no {what}");

    /// <summary>Parses what the backend sent; what is no JSON, or JSON of another shape, is its fault.</summary>
    public T Read<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InferenceException(InferenceError.Unavailable, $"the backend '{name}' answers in a shape that is not its API's: {e.Message}", e);
        }
    }

    private static byte[] Body(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer)) write(writer);
        return buffer.ToArray();
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, byte[]? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = new ByteArrayContent(body) { Headers = { ContentType = json } };
        HttpResponseMessage response;
        try
        {
            response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            throw Broken(e);
        }
        if (response.IsSuccessStatusCode) return response;
        using (response) throw await RefusalAsync(response, cancellationToken).ConfigureAwait(false);
    }

    private async Task<JsonDocument> DocumentAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                return await JsonDocument.ParseAsync(stream, cancellationToken: cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException or JsonException)
        {
            throw Broken(e);
        }
    }

    private async Task<InferenceException> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var (message, code) = await ErrorAsync(response, cancellationToken).ConfigureAwait(false);
        var text = $"the backend '{name}' refuses: {message ?? response.ReasonPhrase ?? ""}";
        return response.StatusCode switch
        {
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden =>
                new(InferenceError.Unavailable, $"the backend '{name}' does not take this server's key; set backends:{name}:key"),
            HttpStatusCode.NotFound => new(InferenceError.ModelNotFound, text),
            HttpStatusCode.TooManyRequests =>
                new(InferenceError.Busy, text) { RetryAfter = response.Headers.RetryAfter?.Delta },
            HttpStatusCode.NotImplemented => new(InferenceError.NotSupported, text),
            < HttpStatusCode.InternalServerError when code == "context_length_exceeded" => new(InferenceError.PromptTooLong, text),
            < HttpStatusCode.InternalServerError => new(InferenceError.InvalidRequest, text),
            _ => new(InferenceError.Unavailable, text),
        };
    }

    private static async Task<(string? Message, string? Code)> ErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                var body = new byte[MostErrorBytes];
                var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                using var document = JsonDocument.Parse(body.AsMemory(0, length));
                if (document.RootElement.ValueKind != JsonValueKind.Object) return (null, null);
                var error = document.RootElement.TryGetProperty("error", out var inner) ? inner : document.RootElement;
                var code = error.ValueKind == JsonValueKind.Object && error.TryGetProperty("code", out var value) && value.ValueKind == JsonValueKind.String
                    ? value.GetString()
                    : null;
                return (MessageOf(error), code);
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException or JsonException)
        {
            return (null, null); // the status says enough
        }
    }

    private static string MessageOf(JsonElement error) =>
        error.ValueKind == JsonValueKind.String ? error.GetString()!
        : error.ValueKind == JsonValueKind.Object && error.TryGetProperty("message", out var message) && message.ValueKind == JsonValueKind.String ? message.GetString()!
        : error.GetRawText();

    private InferenceException Broken(Exception e) => new(InferenceError.Unavailable, $"the backend '{name}' does not answer: {e.Message}", e);
}
