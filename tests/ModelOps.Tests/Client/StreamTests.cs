using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using ModelOps.Client;

namespace ModelOps.Tests.Client;

public sealed class StreamTests
{
    private readonly InstantTime time = new();

    private ClientOptions Options => new() { Time = time, Jitter = () => 0, Attempts = 3 };

    [Fact(Timeout = 30_000)]
    public async Task Watch_StreamBreaks_IsTakenUpAfterTheLastEventWithoutRepeats()
    {
        var resumedFrom = new List<string>();
        var twoSeen = new TaskCompletionSource();
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/jobs/{id}/events", async context =>
        {
            resumedFrom.Add(context.Request.Headers["Last-Event-ID"].ToString());
            if (resumedFrom.Count == 1)
            {
                await HttpsPeer.SendEventAsync(context, EventOf(1, JobState.Queued));
                await HttpsPeer.SendEventAsync(context, EventOf(2, JobState.Running));
                await twoSeen.Task.WaitAsync(TestContext.Current.CancellationToken); // what a reset overtakes is lost
                context.Abort();
                return;
            }
            await HttpsPeer.SendEventAsync(context, EventOf(2, JobState.Running)); // a server may repeat
            await HttpsPeer.SendEventAsync(context, EventOf(3, JobState.Running));
            if (resumedFrom.Count == 2)
            {
                return; // ends before the job does, as at a server's stop
            }
            await HttpsPeer.SendEventAsync(context, EventOf(4, JobState.Succeeded));
        }));
        using var client = peer.Connect(Options);

        var seen = new List<long>();
        await foreach (var jobEvent in client.Jobs.WatchAsync("j1", cancellationToken: TestContext.Current.CancellationToken))
        {
            seen.Add(jobEvent.Sequence);
            if (jobEvent.Sequence == 2)
            {
                twoSeen.SetResult();
            }
        }

        Assert.Equal([1, 2, 3, 4], seen);
        Assert.Equal(["", "2", "3"], resumedFrom);
    }

    [Fact(Timeout = 30_000)]
    public async Task Watch_StreamsBringNothing_EndsUnreachableAfterTheAttempts()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/jobs/{id}/events", context =>
        {
            context.Response.ContentType = "text/event-stream";
            return Task.CompletedTask;
        }));
        using var client = peer.Connect(Options);

        await Assert.ThrowsAsync<ServerUnreachableException>(
            async () => await client.Jobs.WatchAsync("j1", cancellationToken: TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken));

        Assert.Equal(3, peer.Requests.Count);
    }

    [Fact(Timeout = 30_000)]
    public async Task Watch_UnknownJob_ThrowsItsProblemAtOnce()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet(
            "/api/v1/jobs/{id}/events", () => HttpsPeer.Problem(404, ProblemTypes.NotFound, "No such job.")));
        using var client = peer.Connect(Options);

        var exception = await Assert.ThrowsAsync<ModelOpsException>(
            async () => await client.Jobs.WatchAsync("j1", cancellationToken: TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken));

        Assert.Equal(ProblemTypes.NotFound, exception.Problem.Type);
        Assert.Single(peer.Requests);
    }

    [Fact(Timeout = 30_000)]
    public async Task Watch_Canceled_ThrowsCancellationNotAnEnd()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/jobs/{id}/events", async context =>
        {
            await HttpsPeer.SendEventAsync(context, EventOf(1, JobState.Running));
            await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
        }));
        using var client = peer.Connect();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var jobEvent in client.Jobs.WatchAsync("j1", cancellationToken: stop.Token))
            {
                Assert.Equal(1, jobEvent.Sequence);
                await stop.CancelAsync();
            }
        });
    }

    [Fact(Timeout = 30_000)]
    public async Task FollowLog_StreamsEndBeforeTheJob_GivesEachLineOnceAndThoseOfTheEnd()
    {
        var resumedFrom = new List<string>();
        await using var peer = await HttpsPeer.StartAsync(app =>
        {
            app.MapGet("/api/v1/jobs/{id}/logs/stream", async context =>
            {
                resumedFrom.Add(context.Request.Headers["Last-Event-ID"].ToString());
                for (var line = 1; line <= resumedFrom.Count; line++) // the second stream repeats
                {
                    await HttpsPeer.SendEventAsync(context, JsonSerializer.Serialize(LineOf(line), WireJson.Default.JobLogEntry), line);
                }
            });
            app.MapGet("/api/v1/jobs/{id}", () => JobIn(resumedFrom.Count == 1 ? JobState.Running : JobState.Failed));
            app.MapGet("/api/v1/jobs/{id}/logs", (long after) => new Page<JobLogEntry>([LineOf(after + 1)])); // logged as the stream ended
        });
        using var client = peer.Connect(Options);

        var lines = await client.Jobs.FollowLogAsync("j1", JobLogLevel.Warning, cancellationToken: TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);

        Assert.Equal([LineOf(1), LineOf(2), LineOf(3)], lines);
        Assert.Equal(["", "1"], resumedFrom);
        Assert.All(peer.Requests.Where(request => request.Contains("/logs", StringComparison.Ordinal)), request => Assert.Contains("level=warning", request, StringComparison.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task Complete_Stream_FoldsTextReasonAndUsage()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/v1/chat/completions", async context =>
        {
            await HttpsPeer.SendEventAsync(context, """{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}""");
            await HttpsPeer.SendEventAsync(context, """{"id":"c","choices":[{"index":0,"delta":{"content":"Hel"}}]}""");
            await HttpsPeer.SendEventAsync(context, """{"id":"c","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}""");
            await HttpsPeer.SendEventAsync(context, """{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}""");
            await HttpsPeer.SendEventAsync(context, "[DONE]");
        }));
        using var client = peer.Connect();
        var pieces = new List<string>();

        var answer = await client.Chat.CompleteAsync(Question, pieces.Add, TestContext.Current.CancellationToken);

        Assert.Equal(new ChatAnswer("Hello", "stop", new ChatUsage(3, 2, 5)), answer);
        Assert.Equal(["Hel", "lo"], pieces);
    }

    [Theory(Timeout = 30_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Complete_StreamEndsBeforeDone_IsNeverAShortAnswer(bool abort)
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/v1/chat/completions", async context =>
        {
            await HttpsPeer.SendEventAsync(context, """{"choices":[{"index":0,"delta":{"content":"Hel"}}]}""");
            if (abort)
            {
                context.Abort();
            }
        }));
        using var client = peer.Connect();

        await Assert.ThrowsAsync<ServerUnreachableException>(() => client.Chat.CompleteAsync(Question, null, TestContext.Current.CancellationToken));
    }

    [Fact(Timeout = 30_000)]
    public async Task Complete_GenerationFailsOnTheWay_ThrowsItsMessage()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/v1/chat/completions", async context =>
        {
            await HttpsPeer.SendEventAsync(context, """{"choices":[{"index":0,"delta":{"content":"Hel"}}]}""");
            await HttpsPeer.SendEventAsync(context, """{"error":{"message":"The inference worker died.","type":"server_error"}}""");
        }));
        using var client = peer.Connect();

        var exception = await Assert.ThrowsAsync<ModelOpsException>(() => client.Chat.CompleteAsync(Question, null, TestContext.Current.CancellationToken));

        Assert.Equal("The inference worker died.", exception.Problem.Detail);
    }

    [Fact(Timeout = 30_000)]
    public async Task Complete_CallsInPiecesAndLogprobs_AreFolded()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/v1/chat/completions", async context =>
        {
            await HttpsPeer.SendEventAsync(context, """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"place\":"}}]}}]}""");
            await HttpsPeer.SendEventAsync(context, """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"time","arguments":"{}"}},{"index":0,"function":{"arguments":"\"Bern\"}"}}]}}]}""");
            await HttpsPeer.SendEventAsync(context, """{"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":-0.5,"bytes":[120],"top_logprobs":[{"token":"y","logprob":-0.4,"bytes":[121]}]}]},"finish_reason":"tool_calls"}]}""");
            await HttpsPeer.SendEventAsync(context, "[DONE]");
        }));
        using var client = peer.Connect();

        var answer = await client.Chat.CompleteAsync(Question, null, TestContext.Current.CancellationToken);

        Assert.Equal([new("c1", new("weather", "{\"place\":\"Bern\"}")), new ChatToolCall("c2", new("time", "{}"))], answer.ToolCalls);
        Assert.Equal(("x", "tool_calls"), (answer.Content, answer.FinishReason));
        var token = Assert.Single(answer.Logprobs);
        Assert.Equal(("x", -0.5, "y"), (token.Token, token.Logprob, token.TopLogprobs![0].Token));
    }

    private static ChatRequest Question => new() { Model = "m", Messages = [new ChatMessage("user", "Hi")] };

    private static JobLogEntry LineOf(long sequence) =>
        new() { Sequence = sequence, At = DateTimeOffset.UnixEpoch, Level = JobLogLevel.Error, Step = "TrainAdapter", Attempt = 1, Text = $"line {sequence}" };

    private static Job JobIn(JobState state) => new()
    {
        Id = "j1",
        Kind = "sft",
        State = state,
        CreatedAt = DateTimeOffset.UnixEpoch,
        Input = JsonElement.Parse("{}"),
    };

    private static JobEvent EventOf(long sequence, JobState state) => new() { Sequence = sequence, At = DateTimeOffset.UnixEpoch, State = state };
}
