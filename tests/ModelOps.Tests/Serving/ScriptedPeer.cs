using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ModelOps.Tests.Serving;

/// <summary>A server with OpenAI's API on loopback that answers as the name of the model says: what a real one does seldom, it does on demand.</summary>
internal sealed class ScriptedPeer : IAsyncDisposable
{
    public const string Key = "peer-secret-key";
    private readonly WebApplication app;

    private ScriptedPeer(WebApplication app) => this.app = app;

    public string Address => app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    /// <summary>Requests that came for each model.</summary>
    public ConcurrentDictionary<string, int> Requests { get; } = new(StringComparer.Ordinal);

    /// <summary>The last body that came for each model.</summary>
    public ConcurrentDictionary<string, JsonElement> Bodies { get; } = new(StringComparer.Ordinal);

    /// <summary>Completes when the client of the model "silent" has gone.</summary>
    public TaskCompletionSource SilentGone { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Set: nothing is answered, not even the list of models.</summary>
    public bool IsDown { get; set; }

    public static async Task<ScriptedPeer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.Configure<Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServerOptions>(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0));
        var host = builder.Build();
        var peer = new ScriptedPeer(host);
        host.Use((context, next) =>
        {
            if (peer.IsDown) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            else if (context.Request.Headers.Authorization != $"Bearer {Key}") context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            else return next(context);
            return Task.CompletedTask;
        });
        host.MapGet("/v1/models", () => Results.Json(new { @object = "list", data = models.Select(id => new { id, @object = "model", created = 1, owned_by = "peer" }) }));
        host.MapPost("/v1/chat/completions", peer.AnswerAsync);
        host.MapPost("/v1/completions", peer.AnswerAsync);
        host.MapPost("/v1/embeddings", peer.EmbedAsync);
        host.MapPost("/v1/rerank", RerankAsync);
        await host.StartAsync();
        return peer;
    }

    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await app.StopAsync(patience.Token);
        await app.DisposeAsync();
    }

    private static readonly string[] models =
        ["tools", "text", "many", "thinker", "flaky", "dead", "cut", "broken", "silent", "slow", "busy", "long", "vectors"];

    private async Task AnswerAsync(HttpContext context)
    {
        var body = await JsonSerializer.DeserializeAsync<JsonElement>(context.Request.Body);
        var model = body.GetProperty("model").GetString()!;
        Bodies[model] = body;
        var count = Requests.AddOrUpdate(model, 1, (_, before) => before + 1);
        switch (model)
        {
            case "flaky" when count % 3 != 0:
            case "dead":
                await RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "overloaded", null);
                return;
            case "busy":
                context.Response.Headers.RetryAfter = "7";
                await RefuseAsync(context, StatusCodes.Status429TooManyRequests, "all slots are taken", "rate_limit_exceeded");
                return;
            case "long":
                await RefuseAsync(context, StatusCodes.Status400BadRequest, "the prompt has 9000 tokens, the context 4096", "context_length_exceeded");
                return;
            case "slow":
                await HangAsync(context);
                return;
        }
        context.Response.ContentType = "text/event-stream";
        var isChat = context.Request.Path.Value!.EndsWith("chat/completions", StringComparison.Ordinal);
        if (model == "tools" && body.TryGetProperty("tools", out _)) await CallToolsAsync(context);
        else await TellAsync(context, model, isChat, body);
    }

    private static async Task CallToolsAsync(HttpContext context)
    {
        await DeltaAsync(context, new { role = "assistant", content = "" });
        await DeltaAsync(context, new { reasoning_content = "Both places are asked for." });
        await CallAsync(0, "call_one", "weather", "{\"place\":", "\"Paris\"}");
        await CallAsync(1, "call_two", "weather", "{\"place\":\"", "Oslo\"}");
        await DeltaAsync(context, new { }, "tool_calls");
        await EndAsync(context, 12, 7);

        async Task CallAsync(int index, string id, string name, params string[] pieces)
        {
            await DeltaAsync(context, new { tool_calls = new[] { new { index, id, type = "function", function = new { name, arguments = "" } } } });
            foreach (var arguments in pieces)
                await DeltaAsync(context, new { tool_calls = new[] { new { index, function = new { arguments } } } });
        }
    }

    private async Task TellAsync(HttpContext context, string model, bool isChat, JsonElement body)
    {
        var wantsLogprobs = body.TryGetProperty("logprobs", out _);
        if (model == "thinker") await DeltaAsync(context, new { reasoning_content = "Let me think." });
        foreach (var (piece, i) in new[] { "Blue", " is", " a colour", " – naïve 🎨." }.Select((piece, i) => (piece, i)))
        {
            if (isChat) await DeltaAsync(context, new { content = piece }, logprobs: wantsLogprobs ? Logprobs(piece) : null);
            else await SendAsync(context, new { choices = new[] { new { index = 0, text = piece, finish_reason = (string?)null, logprobs = wantsLogprobs ? TextLogprobs(piece) : null } } });
            if (i > 0) continue;
            switch (model)
            {
                case "cut": // the body ends as if all were said
                    return;
                case "broken":
                    await SendAsync(context, new { error = new { message = "the engine aborted", type = "server_error" } });
                    return;
                case "silent":
                    await HangAsync(context);
                    SilentGone.TrySetResult();
                    return;
            }
        }
        if (isChat) await DeltaAsync(context, new { }, "stop");
        else await SendAsync(context, new { choices = new[] { new { index = 0, text = "", finish_reason = "stop" } } });
        await EndAsync(context, 5, 4);
    }

    private static JsonNode Logprobs(string token) => new JsonObject
    {
        ["content"] = new JsonArray(new JsonObject
        {
            ["token"] = token,
            ["logprob"] = -0.25,
            ["bytes"] = new JsonArray([.. System.Text.Encoding.UTF8.GetBytes(token).Select(value => JsonValue.Create((int)value))]),
            ["top_logprobs"] = new JsonArray(new JsonObject { ["token"] = "Red", ["logprob"] = -1.5, ["bytes"] = new JsonArray(82, 101, 100) }),
        }),
        ["refusal"] = null,
    };

    private static JsonNode TextLogprobs(string token) => new JsonObject
    {
        ["tokens"] = new JsonArray(token),
        ["token_logprobs"] = new JsonArray(-0.25),
        ["top_logprobs"] = new JsonArray(new JsonObject { ["Red"] = -1.5 }),
        ["text_offset"] = new JsonArray(0),
    };

    private async Task EmbedAsync(HttpContext context)
    {
        var body = await JsonSerializer.DeserializeAsync<JsonElement>(context.Request.Body);
        Bodies["vectors"] = body;
        var inputs = body.GetProperty("input").EnumerateArray().Select(Length).ToList();
        await context.Response.WriteAsJsonAsync(new
        {
            data = inputs.Select((length, index) => new { index, embedding = new[] { 0.6, 0.8, length } }).Reverse(), // the order is the index's, not the list's
            usage = new { prompt_tokens = inputs.Sum(), total_tokens = inputs.Sum() },
        });

        static int Length(JsonElement input) => input.ValueKind == JsonValueKind.String ? input.GetString()!.Length : input.GetArrayLength();
    }

    private static async Task RerankAsync(HttpContext context)
    {
        var body = await JsonSerializer.DeserializeAsync<JsonElement>(context.Request.Body);
        var query = body.GetProperty("query").GetString()!;
        await context.Response.WriteAsJsonAsync(new
        {
            results = body.GetProperty("documents").EnumerateArray()
                .Select((document, index) => new { index, relevance_score = document.GetString()!.Contains(query, StringComparison.Ordinal) ? 0.9 - (0.1 * index) : 0.1 }),
            usage = new { prompt_tokens = 9 },
        });
    }

    private static Task DeltaAsync(HttpContext context, object delta, string? finish = null, JsonNode? logprobs = null) =>
        SendAsync(context, new { choices = new[] { new { index = 0, delta, finish_reason = finish, logprobs } } });

    private static async Task EndAsync(HttpContext context, int prompt, int completion)
    {
        await SendAsync(context, new
        {
            choices = Array.Empty<object>(),
            usage = new { prompt_tokens = prompt, completion_tokens = completion, total_tokens = prompt + completion, prompt_tokens_details = new { cached_tokens = 3 } },
        });
        await context.Response.WriteAsync("data: [DONE]\n\n");
    }

    private static async Task SendAsync(HttpContext context, object chunk)
    {
        await context.Response.WriteAsync($"data: {JsonSerializer.Serialize(chunk)}\n\n");
        await context.Response.Body.FlushAsync();
    }

    private static Task RefuseAsync(HttpContext context, int status, string message, string? code)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new { error = new { message, type = "x", code } });
    }

    /// <summary>Until the client goes.</summary>
    private static Task HangAsync(HttpContext context)
    {
        var gone = new TaskCompletionSource();
        context.RequestAborted.Register(gone.SetResult);
        return gone.Task;
    }
}
