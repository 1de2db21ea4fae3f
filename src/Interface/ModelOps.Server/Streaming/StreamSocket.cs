using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Server.Configuration;
using ModelOps.Server.OpenAI;
using ModelOps.Server.RateLimits;
using ModelOps.Server.Security;

namespace ModelOps.Server.Streaming;

/// <summary>Chats over one WebSocket, several at once: a text message for every request, cancellation and piece, each a JSON object.</summary>
public sealed class StreamSocket : IDisposable
{
    private const int MostRequests = 64;
    private static readonly TimeSpan goodbye = TimeSpan.FromSeconds(5);
    private readonly HttpContext context;
    private readonly WebSocket socket;
    private readonly ModelRouter router;
    private readonly TimeProvider time;
    private readonly SemaphoreSlim sending = new(1);
    private readonly ConcurrentDictionary<string, CancellationTokenSource> running = new(StringComparer.Ordinal);

    private StreamSocket(HttpContext context, WebSocket socket, ModelRouter router, TimeProvider time) =>
        (this.context, this.socket, this.router, this.time) = (context, socket, router, time);

    public static async Task<IResult> AnswerAsync(HttpContext context, ModelRouter router, ServerConfig config, TimeProvider time)
    {
        if (!context.WebSockets.IsWebSocketRequest)
            return Problems.Invalid("this address speaks WebSocket; for one chat as server-sent events use POST /v1/chat/completions with stream");
        using var connection = new StreamSocket(context, await context.WebSockets.AcceptWebSocketAsync(), router, time);
        await connection.ServeAsync(config.Limits.RequestBytes);
        return Results.Empty;
    }

    public void Dispose()
    {
        sending.Dispose();
        socket.Dispose();
    }

    private async Task ServeAsync(long mostBytes)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var answers = new ConcurrentDictionary<Task, bool>();
        try
        {
            while (await ReceiveAsync(mostBytes, gone.Token) is { } message)
            {
                var answer = HandleAsync(message, gone.Token);
                answers[answer] = true;
                _ = answer.ContinueWith(done => answers.TryRemove(done, out _), TaskScheduler.Default);
            }
            await CloseAsync(WebSocketCloseStatus.NormalClosure, "");
        }
        catch (OperationCanceledException) when (gone.IsCancellationRequested)
        {
            await CloseAsync(WebSocketCloseStatus.EndpointUnavailable, "the server stops; connect again");
        }
        catch (WebSocketException)
        {
            // The client is gone.
        }
        finally
        {
            await gone.CancelAsync();
            await Task.WhenAll(answers.Keys).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>Null: the client closes.</returns>
    private async Task<byte[]?> ReceiveAsync(long mostBytes, CancellationToken cancellationToken)
    {
        using var message = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (true)
        {
            var received = await socket.ReceiveAsync(buffer, cancellationToken);
            if (received.MessageType == WebSocketMessageType.Close) return null;
            await message.WriteAsync(buffer.AsMemory(0, received.Count), cancellationToken);
            if (message.Length > mostBytes)
            {
                await CloseAsync(WebSocketCloseStatus.MessageTooBig, "a message is larger than limits:request_bytes allows");
                return null;
            }
            if (received.EndOfMessage) return message.ToArray();
        }
    }

    private async Task HandleAsync(byte[] message, CancellationToken cancellationToken)
    {
        StreamInput? input;
        try
        {
            input = JsonSerializer.Deserialize(message, StreamJson.Default.StreamInput);
        }
        catch (JsonException e)
        {
            await FailAsync(id: null, Problems.From(e, context.RequestServices), cancellationToken);
            return;
        }
        switch (input)
        {
            case { Type: "request", Request: { } request }:
                await AnswerAsync(input.Id, request, cancellationToken);
                break;
            case { Type: "cancel" }:
                if (running.TryGetValue(input.Id, out var source)) await source.CancelAsync();
                break;
            default:
                await FailAsync(input?.Id, "type", "must be request, with a request, or cancel", cancellationToken);
                break;
        }
    }

    private async Task AnswerAsync(string id, ChatCompletionRequest request, CancellationToken cancellationToken)
    {
        if (running.Count >= MostRequests)
        {
            await FailAsync(id, "id", $"is one too many: {MostRequests} requests run over this connection", cancellationToken);
            return;
        }
        using var life = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (!running.TryAdd(id, life))
        {
            await FailAsync(id, "id", $"'{id}' is that of a request that runs", cancellationToken);
            return;
        }
        StreamOutput end;
        try
        {
            end = await StreamAsync(id, request, life.Token);
        }
        catch (OperationCanceledException) when (life.IsCancellationRequested)
        {
            end = new("canceled", id);
        }
        finally
        {
            running.TryRemove(id, out _); // before the last word: the client may use the id again once it has that
        }
        await SendAsync(end, cancellationToken);
    }

    /// <returns>The last message.</returns>
    private async Task<StreamOutput> StreamAsync(string id, ChatCompletionRequest request, CancellationToken cancellationToken)
    {
        try
        {
            if (await RefusalAsync(cancellationToken) is { } refusal) return Failed(id, refusal);
            var wanted = request with { Stream = true };
            var faults = new Faults();
            var generations = ChatCompletions.Read(wanted, faults);
            if (faults.Any) return Failed(id, Problems.Refusal(faults));
            var chat = await ChatCompletions.BeginAsync(wanted, generations, router, time, cancellationToken);
            await foreach (var chunk in chat.ChunksAsync(cancellationToken)) await SendAsync(new("chunk", id) { Chunk = chunk }, cancellationToken);
            return new("done", id);
        }
        catch (Exception e) when (e is not (OperationCanceledException or WebSocketException))
        {
            return Failed(id, Problems.From(e, context.RequestServices));
        }
    }

    /// <summary>A connection outlives keys and roles: each request over it is asked for anew, and counts as one.</summary>
    private async Task<Problems.ProblemResult?> RefusalAsync(CancellationToken cancellationToken)
    {
        var services = context.RequestServices;
        var principal = await services.GetRequiredService<BearerSecrets>().PrincipalAsync(context.Request, cancellationToken);
        if (Access.Decide(AccessPolicy.RuleOf(context), principal) is not AccessDecision.Allowed)
            return Problems.Refusal(ProblemTypes.Unauthorized, StatusCodes.Status401Unauthorized, "the key or session of this connection has ended; connect again");
        if (!services.GetRequiredService<RateLimitOptions>().Enabled) return null;
        var decision = await services.GetRequiredService<IRateLimiter>().TakeAsync(RateLimiting.PartitionOf(context), cancellationToken);
        return decision.Allowed ? null : Problems.Refusal(
            ProblemTypes.TooManyRequests, StatusCodes.Status429TooManyRequests, $"too many requests; wait {Math.Ceiling(decision.RetryAfter.TotalSeconds)} s");
    }

    private Task FailAsync(string? id, string param, string rule, CancellationToken cancellationToken)
    {
        var faults = new Faults();
        faults.Add(param, rule);
        return FailAsync(id, Problems.Refusal(faults), cancellationToken);
    }

    private Task FailAsync(string? id, Problems.ProblemResult problem, CancellationToken cancellationToken) => SendAsync(Failed(id, problem), cancellationToken);

    private static StreamOutput Failed(string? id, Problems.ProblemResult problem) => new("error", id) { Error = problem.ToOpenAI().Error };

    private async Task SendAsync(StreamOutput output, CancellationToken cancellationToken)
    {
        var message = JsonSerializer.SerializeToUtf8Bytes(output, StreamJson.Default.StreamOutput);
        await sending.WaitAsync(cancellationToken);
        try
        {
            // A message under way is not cut off: a canceled send would end the connection, and with it everybody else's answers.
            await socket.SendAsync(message, WebSocketMessageType.Text, endOfMessage: true, context.RequestAborted);
        }
        finally
        {
            sending.Release();
        }
    }

    private async Task CloseAsync(WebSocketCloseStatus status, string reason)
    {
        using var patience = new CancellationTokenSource(goodbye, time);
        try
        {
            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived) await socket.CloseOutputAsync(status, reason, patience.Token);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException)
        {
            // It hears nothing any longer.
        }
    }
}

public static class StreamEndpoints
{
    /// <summary>A WebSocket begins with GET in HTTP/1.1 and with CONNECT in HTTP/2.</summary>
    public static void MapStream(this IEndpointRouteBuilder api) =>
        api.MapMethods("/stream", ["GET", "CONNECT"], StreamSocket.AnswerAsync).ExcludeFromDescription();
}
