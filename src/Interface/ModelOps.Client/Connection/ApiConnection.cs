using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json.Serialization.Metadata;

namespace ModelOps.Client;

/// <summary>Sends requests with the key, trust and retries of one client; answers that are not 2xx become exceptions.</summary>
internal sealed class ApiConnection : IDisposable
{
    private readonly HttpClient http;
    private readonly Func<CancellationToken, ValueTask<string?>> bearer;

    public ApiConnection(Uri server, Func<CancellationToken, ValueTask<string?>> bearer, string? caCertificatePath, ClientOptions options)
    {
        Server = server;
        this.bearer = bearer;
        Options = options;
#pragma warning disable CA2000 // the HttpClient owns the handler
        http = new HttpClient(options.Handler ?? ServerTrust.CreateHandler(caCertificatePath, options.ConnectTimeout), disposeHandler: options.Handler is null)
#pragma warning restore CA2000
        {
            BaseAddress = new Uri(server.AbsoluteUri.TrimEnd('/') + '/'),
            Timeout = Timeout.InfiniteTimeSpan, // uploads, deployments and event streams last as long as they last; tokens end them
        };
    }

    public Uri Server { get; }

    public ClientOptions Options { get; }

    public Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        ReadAsync(() => new HttpRequestMessage(HttpMethod.Get, path), type, cancellationToken);

    public Task<T> PostAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        ReadAsync(() => new HttpRequestMessage(HttpMethod.Post, path), type, cancellationToken);

    public Task<T> PostAsync<TBody, T>(
        string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        ReadAsync(
            () => new HttpRequestMessage(HttpMethod.Post, path) { Content = new WireContent<TBody>(body, bodyType) }, type, cancellationToken);

    /// <summary>For an answer without a body.</summary>
    public async Task PostAsync<TBody>(string path, TBody body, JsonTypeInfo<TBody> bodyType, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(
            () => new HttpRequestMessage(HttpMethod.Post, path) { Content = new WireContent<TBody>(body, bodyType) }, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <inheritdoc cref="PostAsync{TBody}(string, TBody, JsonTypeInfo{TBody}, CancellationToken)"/>
    public async Task PostAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(() => new HttpRequestMessage(HttpMethod.Post, path), cancellationToken).ConfigureAwait(false);
    }

    public Task<T> PutAsync<TBody, T>(
        string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        ReadAsync(
            () => new HttpRequestMessage(HttpMethod.Put, path) { Content = new WireContent<TBody>(body, bodyType) }, type, cancellationToken);

    public async Task DeleteAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(() => new HttpRequestMessage(HttpMethod.Delete, path), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether the resource exists (HEAD).</summary>
    public async Task<bool> ExistsAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await SendAsync(() => new HttpRequestMessage(HttpMethod.Head, path), cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (ModelOpsException exception) when (exception.Problem.Status == (int)HttpStatusCode.NotFound)
        {
            return false;
        }
    }

    /// <summary>Sends, with retries where <see cref="RetryRules"/> allow, and returns a 2xx answer with its body still unread.</summary>
    /// <param name="request">Makes the request anew for each attempt.</param>
    public async Task<HttpResponseMessage> SendAsync(Func<HttpRequestMessage> request, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var asked = TimeSpan.Zero;
            using var message = request();
            try
            {
                var response = await SendAsync(message, cancellationToken).ConfigureAwait(false);
                if (response.IsSuccessStatusCode)
                {
                    return response;
                }
                using (response)
                {
                    asked = RetryRules.AskedWait(response, Options.Time);
                    if (attempt == Options.Attempts || asked > Options.MaxRetryAfter || !RetryRules.MayRepeat(message.Method, response.StatusCode))
                    {
                        throw await ProblemReader.ReadAsync(response, cancellationToken).ConfigureAwait(false);
                    }
                }
            }
            catch (HttpRequestException exception)
            {
                if (attempt == Options.Attempts || !RetryRules.MayRepeat(message.Method, exception.HttpRequestError))
                {
                    throw Unreachable(exception);
                }
            }
            await Task.Delay(asked + Options.DelayAfter(attempt), Options.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Sends once and returns the answer whatever its status.</summary>
    public async Task<HttpResponseMessage> SendOnceAsync(HttpMethod method, string path, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(method, path);
        try
        {
            return await SendAsync(message, cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException exception)
        {
            throw Unreachable(exception);
        }
    }

    public ServerUnreachableException Unreachable(Exception cause) => new(Server, cause switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } =>
            $"The certificate of {Server} is not trusted: {cause.InnerException?.Message ?? cause.Message} "
            + "Name the authority that issued it (certs/ca.crt in the server's home folder), or check that this is the server you mean.",
        _ => $"No answer from {Server}: {cause.Message} Check that the server runs there ('modelops serve') and that the address is right.",
    }, cause);

    public void Dispose() => http.Dispose();

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage message, CancellationToken cancellationToken)
    {
        if (await bearer(cancellationToken).ConfigureAwait(false) is { } secret)
        {
            message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", secret);
        }
        if (Options.TraceParent is { } trace)
        {
            message.Headers.TryAddWithoutValidation("traceparent", trace);
        }
        if (Options.UserAgent is { } agent)
        {
            message.Headers.TryAddWithoutValidation("User-Agent", agent);
        }
        message.Version = HttpVersion.Version20; // a message made by hand does not take the HttpClient's default
        message.VersionPolicy = HttpVersionPolicy.RequestVersionOrLower;
        try
        {
            return await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException exception) // of a server that died between accepting a connection and the client's look at its address
        {
            throw new HttpRequestException(HttpRequestError.ConnectionError, exception.Message, exception);
        }
    }

    private async Task<T> ReadAsync<T>(Func<HttpRequestMessage> request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(request, cancellationToken).ConfigureAwait(false);
        try
        {
            return await response.ReadAsync(type, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            throw Unreachable(exception);
        }
    }
}
