using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Gateway;

namespace ModelOps.Tests.Serving;

/// <summary>Servers of others behind the same surfaces: a second ModelOps over both APIs, and a peer that fails on demand.</summary>
[Collection(nameof(ServingCollection))]
public sealed class BackendTests(ServingFixture fixture)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("words")] // over OpenAI's API
    [InlineData("other")] // over Ollama's
    public async Task SecondServer_AnswersAsTheFirst(string model)
    {
        var request = new ChatRequest { Model = model, Messages = [new("user", "What does \"river\" mean?")], Temperature = 0, MaxTokens = 24 };
        var direct = await fixture.Server.Client.Chat.CompleteAsync(request, cancellationToken: Cancel);
        var pieces = 0;
        var relayed = await fixture.Second.Client.Chat.CompleteAsync(request, _ => pieces++, Cancel);
        Assert.NotEmpty(direct.Content);
        Assert.Equal(direct, relayed);
        Assert.True(pieces > 1, $"{pieces} pieces: it was not streamed");
    }

    [Theory]
    [InlineData("words")]
    [InlineData("other")]
    public async Task SecondServer_ContinuesPlainPromptsAsTheFirst(string model)
    {
        var body = $$"""{"model":"{{model}}","prompt":"A river is","temperature":0,"max_tokens":12}""";
        using var first = ServingFixture.Connect(fixture.Server);
        using var second = ServingFixture.Connect(fixture.Second);
        var direct = (await first.PostAsync("/v1/completions", body, Cancel)).Body;
        var relayed = (await second.PostAsync("/v1/completions", body, Cancel)).Body;
        Assert.NotEmpty(direct.GetProperty("choices")[0].Text("text"));
        Assert.Equal(direct.GetProperty("choices")[0].Text("text"), relayed.GetProperty("choices")[0].Text("text"));
    }

    [Fact]
    public async Task SecondServer_TellsToolsReasoningAndVectorsOfTheFirst()
    {
        using var http = ServingFixture.Connect(fixture.Second);
        var tools = """[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]""";
        var (_, called) = await http.PostAsync("/v1/chat/completions", $$"""{"model":"tools","messages":[{"role":"user","content":"x"}],"tools":{{tools}}}""", Cancel);
        Assert.Equal(["call_one", "call_two"], called.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls").EnumerateArray().Select(call => call.Text("id")));
        var (_, thought) = await http.PostAsync("/v1/chat/completions", """{"model":"thinker","messages":[{"role":"user","content":"x"}]}""", Cancel);
        Assert.Equal("Let me think.", thought.GetProperty("choices")[0].Text("message", "reasoning_content"));
        Assert.Equal("Blue is a colour – naïve 🎨.", thought.GetProperty("choices")[0].Text("message", "content"));
        var (_, vectors) = await http.PostAsync("/v1/embeddings", """{"model":"vectors","input":"abc"}""", Cancel);
        Assert.Equal(3f, vectors.GetProperty("data")[0].GetProperty("embedding")[2].GetSingle());
        var (refused, why) = await http.PostAsync("/v1/chat/completions", """{"model":"other","messages":[{"role":"user","content":"x"}],"grammar":"root ::= \"a\""}""", Cancel);
        Assert.Equal((400, "unsupported"), (refused, why.Text("error", "code")));
    }

    [Fact]
    public async Task Backend_ThatFailsBeforeTheFirstToken_IsAskedAgain()
    {
        var before = fixture.Peer.Requests.GetValueOrDefault("flaky");
        var answer = await fixture.Server.Client.Chat.CompleteAsync(new ChatRequest { Model = "flaky", Messages = [new("user", "x")] }, cancellationToken: Cancel);
        Assert.Equal("Blue is a colour – naïve 🎨.", answer.Content);
        Assert.Equal(3, fixture.Peer.Requests["flaky"] - before);
    }

    [Theory]
    [InlineData("cut")] // after a piece: the caller has it, a second try would tell it twice
    [InlineData("busy")] // it answers: trying again at once is what it asks not to do
    [InlineData("long")] // the request itself is wrong
    public async Task Backend_OtherFailures_AreNotTriedAgain(string model)
    {
        var before = fixture.Peer.Requests.GetValueOrDefault(model);
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, _) = await http.PostAsync("/v1/chat/completions", $$"""{"model":"{{model}}","messages":[{"role":"user","content":"x"}]}""", Cancel);
        Assert.NotEqual(200, status);
        Assert.Equal(1, fixture.Peer.Requests[model] - before);
    }

    [Fact]
    public async Task Backend_ThatDoesNotBeginToAnswer_IsGivenUp()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync("/v1/chat/completions", """{"model":"slow","messages":[{"role":"user","content":"x"}]}""", Cancel);
        Assert.Equal(503, status);
        Assert.Contains("did not begin to answer within 2 s", answer.Text("error", "message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backends_AreListedWithTheirState_AndThoseThatAreDownAreNotRouted()
    {
        var listed = await fixture.Second.Client.Backends.ListAsync(Cancel);
        Assert.Equal(["first openai", "ollama ollama"], listed.Select(backend => $"{backend.Name} {backend.Kind}"));
        await using var peer = await ScriptedPeer.StartAsync();
        var home = TestServer.NewHome();
        await using (var server = await TestServer.StartAsync(
            home, Cancel, "backends:gone:kind=ollama", "backends:gone:url=http://127.0.0.1:1", "backends:locked:kind=openai", $"backends:locked:url={peer.Address}/v1",
            "backends:here:kind=openai", $"backends:here:url={peer.Address}/v1", $"backends:here:key={ScriptedPeer.Key}", "backends:here:check_every=100ms", "backends:here:models=text,absent"))
        {
            async Task<BackendStatus> OfAsync(string name) => (await server.Client.Backends.ListAsync(Cancel)).Single(backend => backend.Name == name);
            await Eventually.HoldsAsync(async () => (await server.Client.Backends.ListAsync(Cancel)).All(backend => backend.State != BackendStates.Starting), Cancel);
            Assert.Equal(BackendStates.Down, (await OfAsync("gone")).State);
            Assert.Contains("backends:locked:key", (await OfAsync("locked")).Error, StringComparison.Ordinal);
            Assert.Equal(["text"], (await OfAsync("here")).Models);
            Assert.Contains("absent", (await OfAsync("here")).Error, StringComparison.Ordinal);
            Assert.Equal(["text"], (await server.Client.Chat.ListModelsAsync(Cancel)).Select(model => model.Id));
            peer.IsDown = true;
            await Eventually.HoldsAsync(async () => (await server.Client.Chat.ListModelsAsync(Cancel)).Count == 0, Cancel);
            peer.IsDown = false;
            await Eventually.HoldsAsync(async () => (await server.Client.Chat.ListModelsAsync(Cancel)).Count == 1, Cancel);
            Assert.DoesNotContain(ScriptedPeer.Key, server.Log, StringComparison.Ordinal);
        }
        Directory.Delete(home, recursive: true);
    }

    [Fact]
    public async Task Backend_ThatFailsAgainAndAgain_IsLeftAloneForAWhile()
    {
        var time = new ManualTime(DateTimeOffset.UnixEpoch);
        var inner = new FailingBackend();
        var backend = new ResilientBackend(
            inner,
            "it",
            new BackendPatience { FirstToken = TimeSpan.FromMinutes(1), NextToken = TimeSpan.FromMinutes(1), Retries = 0, BreakAfter = 3, BreakFor = TimeSpan.FromSeconds(10) },
            time);
        Task<InferenceException> AskAsync() => Assert.ThrowsAsync<InferenceException>(() => backend.EmbedAsync("m", [], Cancel));

        for (var i = 0; i < 3; i++) Assert.Equal("down", (await AskAsync()).Message);
        var refused = await AskAsync();
        Assert.Equal(InferenceError.Unavailable, refused.Error);
        Assert.Equal(TimeSpan.FromSeconds(10), refused.RetryAfter);
        Assert.Equal(3, inner.Asked); // it was not even asked
        time.Advance(TimeSpan.FromSeconds(11));
        inner.IsUp = true;
        Assert.Single((await backend.EmbedAsync("m", [], Cancel)).Vectors);
    }

    /// <summary>A backend as a network shows it: an answer or none.</summary>
    private sealed class FailingBackend : IInferenceBackend
    {
        public int Asked { get; private set; }

        public bool IsUp { get; set; }

        public IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken)
        {
            Asked++;
            return IsUp ? Task.FromResult(new Embeddings([[1]], 1)) : throw new InferenceException(InferenceError.Unavailable, "down");
        }

        public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
