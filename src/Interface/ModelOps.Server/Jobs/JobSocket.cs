using System.Net.WebSockets;
using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Server.Jobs;

/// <summary>The events of a job over a WebSocket: a text message each, the same JSON as the SSE stream's. What the client sends is not read.</summary>
public static class JobSocket
{
    private static readonly TimeSpan goodbye = TimeSpan.FromSeconds(5);

    /// <param name="after">Number of the last event already seen.</param>
    public static async Task<IResult> AnswerAsync(string id, long? after, HttpContext context, JobStore store)
    {
        if (!context.WebSockets.IsWebSocketRequest)
            return Problems.Invalid($"this address speaks WebSocket; for a stream of server-sent events use GET /api/v1/jobs/{id}/events");
        if (after < 0) return Problems.Invalid($"after must be the number of an event, not {after}");
        if (await store.GetAsync(id, context.RequestAborted) is null) return JobEndpoints.NoSuchJob(id);
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        await SendAsync(socket, store.EventsAsync(id, after ?? 0, context.RequestAborted), context.RequestAborted);
        return Results.Empty;
    }

    private static async Task SendAsync(WebSocket socket, IAsyncEnumerable<JobEvent> events, CancellationToken cancellationToken)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var hearing = HearAsync(socket, gone.CancelAsync, gone.Token);
        try
        {
            await foreach (var next in events.WithCancellation(gone.Token))
                await socket.SendAsync(
                    JsonSerializer.SerializeToUtf8Bytes(next, WireJson.Default.JobEvent), WebSocketMessageType.Text, endOfMessage: true, gone.Token);
            await CloseAsync(socket, WebSocketCloseStatus.NormalClosure, "the job ended");
            await Task.WhenAny(hearing, Task.Delay(goodbye, CancellationToken.None)); // a reset connection would cost the client what it has not read yet
        }
        catch (OperationCanceledException) when (gone.IsCancellationRequested)
        {
            await CloseAsync(socket, WebSocketCloseStatus.EndpointUnavailable, "watch again with after");
        }
        catch (WebSocketException)
        {
            // The client is gone.
        }
        finally
        {
            await gone.CancelAsync();
            await hearing;
        }
    }

    /// <summary>Reads until the client closes or vanishes: else nobody would learn of it before the next event.</summary>
    private static async Task HearAsync(WebSocket socket, Func<Task> end, CancellationToken cancellationToken)
    {
        var buffer = new byte[256];
        try
        {
            while ((await socket.ReceiveAsync(buffer, cancellationToken)).MessageType != WebSocketMessageType.Close)
            {
            }
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException)
        {
            // It is gone.
        }
        await end();
    }

    private static async Task CloseAsync(WebSocket socket, WebSocketCloseStatus status, string reason)
    {
        using var patience = new CancellationTokenSource(goodbye);
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
