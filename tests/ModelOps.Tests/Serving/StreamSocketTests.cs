using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Tests.Serving;

/// <summary>Chats over one WebSocket.</summary>
[Collection(nameof(ServingCollection))]
public sealed class StreamSocketTests(ServingFixture fixture)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Requests_AtOnceOverOneSocket_AreAnsweredAndCanceledEach()
    {
        using var socket = await ConnectAsync(fixture.Server.ApiKey);
        await SendAsync(socket, Request("a", "words"));
        await SendAsync(socket, Request("b", "text"));
        await SendAsync(socket, Request("hangs", "slow"));
        await SendAsync(socket, Request("nobody's", "nobody"));
        await SendAsync(socket, """{"type":"request","id":"wrong","request":{"model":"text","messages":[],"temperature":9}}""");
        await SendAsync(socket, """{"type":"sing","id":"odd"}""");
        await SendAsync(socket, "{");
        await SendAsync(socket, Request("hangs", "text"));
        await SendAsync(socket, """{"type":"cancel","id":"hangs"}""");
        var told = await UntilAsync(socket, message => message.GetProperty("type").GetString() is "done" or "error" or "canceled", count: 8);

        IReadOnlyList<JsonElement> Of(string id) => [.. told.Where(message => message.TryGetProperty("id", out var name) && name.GetString() == id)];
        Assert.Equal("Blue is a colour – naïve 🎨.", Content(Of("b")));
        Assert.NotEmpty(Content(Of("a")));
        Assert.Equal("done", Of("a")[^1].Text("type"));
        Assert.Equal(["canceled", "error"], Of("hangs").Select(message => message.Text("type")).Order());
        Assert.Equal("model_not_found", Of("nobody's")[^1].Text("error", "code"));
        Assert.Equal("messages", Of("wrong")[^1].Text("error", "param"));
        Assert.Contains("temperature", Of("wrong")[^1].Text("error", "message"), StringComparison.Ordinal);
        Assert.Equal("type", Of("odd")[^1].Text("error", "param"));
        Assert.Single(told, message => !message.TryGetProperty("id", out _));

        await SendAsync(socket, Request("hangs", "text")); // a name is free again
        Assert.Equal("done", (await UntilAsync(socket, message => message.Text("type") != "chunk", count: 1))[^1].Text("type"));
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Cancel);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);
    }

    [Fact]
    public async Task Socket_WithoutAKey_IsRefused_AndOneWhoseKeyEndsToo()
    {
        await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(key: null));
        var key = await fixture.Server.Client.Keys.CreateAsync(new CreateApiKey { Name = "socket", Scopes = ["inference"] }, Cancel);
        using var socket = await ConnectAsync(key.Secret);
        await SendAsync(socket, Request("a", "text"));
        Assert.Equal("done", (await UntilAsync(socket, message => message.Text("type") != "chunk", count: 1))[^1].Text("type"));
        await fixture.Server.Client.Keys.RevokeAsync(key.Key.Id, Cancel);
        await SendAsync(socket, Request("b", "text"));
        Assert.Equal("invalid_api_key", (await UntilAsync(socket, message => message.Text("type") != "chunk", count: 1))[^1].Text("error", "code"));
    }

    private async Task<ClientWebSocket> ConnectAsync(string? key)
    {
        var socket = new ClientWebSocket();
        try
        {
            if (key is not null) socket.Options.SetRequestHeader("Authorization", $"Bearer {key}");
            using var invoker = new HttpMessageInvoker(ServingFixture.Handler(fixture.Server));
            await socket.ConnectAsync(new UriBuilder(new Uri(fixture.Server.Client.Server, "api/v1/stream")) { Scheme = "wss" }.Uri, invoker, Cancel);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string Request(string id, string model) =>
        $$"""{"type":"request","id":"{{id}}","request":{"model":"{{model}}","max_tokens":4,"messages":[{"role":"user","content":"Which colour?"}]} }""";

    private static Task SendAsync(ClientWebSocket socket, string text) =>
        socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, Cancel);

    private static async Task<List<JsonElement>> UntilAsync(ClientWebSocket socket, Predicate<JsonElement> isLast, int count)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        var told = new List<JsonElement>();
        var buffer = new byte[64 * 1024];
        while (count > 0)
        {
            var received = await socket.ReceiveAsync(buffer, patience.Token);
            var message = JsonElement.Parse(buffer.AsSpan(0, received.Count));
            told.Add(message);
            if (isLast(message)) count--;
        }
        return told;
    }

    private static string Content(IReadOnlyList<JsonElement> messages) => string.Concat(
        messages.Where(message => message.Text("type") == "chunk")
            .SelectMany(message => message.GetProperty("chunk").GetProperty("choices").EnumerateArray())
            .Select(choice => choice.GetProperty("delta").TryGetProperty("content", out var content) ? content.GetString() : ""));
}
