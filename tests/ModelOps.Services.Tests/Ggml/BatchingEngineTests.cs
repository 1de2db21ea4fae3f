using System.Text;
using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class BatchingEngineTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // F32 is equal however a prompt is cut into chunks and whoever shares the batch. With Q8_0, kernels for other numbers of rows round
    // activations otherwise, so that a chunked prompt may choose another token at a near-tie: equal is what computes the same batches.
    [Theory]
    [InlineData(1, 64, QuantizationType.F32)]
    [InlineData(4, 64, QuantizationType.F32)]
    [InlineData(16, 64, QuantizationType.F32)]
    [InlineData(1, 512, QuantizationType.Q8_0)]
    public async Task GenerateAsync_Greedy_EqualsABareLoopTokenForToken(int slots, int batchTokens, QuantizationType type)
    {
        var path = fixture.InFolder($"{Guid.NewGuid():N}.gguf");
        GgufQuantizer.Quantize(fixture.ModelPath, path, type, threads: 1, Token);
        using var model = LlamaModel.Load(path);
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = slots, BatchTokens = batchTokens });
        int[][] prompts = [.. Enumerable.Range(0, 16).Select(i => Prompts.Random(seed: i, length: 1 + i * 5))];

        var completions = await Task.WhenAll(prompts.Select(prompt => engine.CompleteAsync(Request(prompt, 32), Token)));

        Assert.All(prompts.Zip(completions), pair => Assert.Equal(BareLoop.Greedy(model, pair.First, 32), pair.Second.Tokens));
        Assert.True(completions.Select(completion => completion.Text).Distinct().Count() > 10);
    }

    [Fact]
    public async Task GenerateAsync_SameSeed_RepeatsWhateverElseIsInTheBatch()
    {
        await using var engine = Engine(fixture.Model, 4);
        var request = Request(Prompts.Random(1, 10), 40) with
        {
            Sampling = new() { Temperature = 1.5f, TopK = 100, TopP = 0.99f, MinP = 0.001f, Seed = 7 },
        };

        var alone = await engine.CompleteAsync(request, Token);
        var among = await Task.WhenAll(
            engine.CompleteAsync(request with { Prompt = Prompts.Random(2, 50) }, Token),
            engine.CompleteAsync(request, Token),
            engine.CompleteAsync(request with { Sampling = request.Sampling with { Seed = 8 } }, Token));

        Assert.Equal(alone.Tokens, among[1].Tokens);
        Assert.NotEqual(alone.Tokens, among[2].Tokens);
    }

    [Fact]
    public async Task GenerateAsync_HighTemperature_EndsAtAnEndTokenAndSendsWholeCharacters()
    {
        await using var engine = Engine(fixture.Model, 4);
        var seeds = Enumerable.Range(0, 8);

        var completions = await Task.WhenAll(seeds.Select(seed => engine.CompleteAsync(
            new GenerationRequest { Prompt = [5], Sampling = new() { Temperature = 1000, Seed = (uint)seed } }, Token)));

        var ended = completions.Where(completion => completion.Finish == FinishReason.Stop).ToArray();
        Assert.NotEmpty(ended);
        Assert.All(ended, completion => Assert.True(fixture.Model.IsEndOfGeneration(completion.Tokens[^1])));
        Assert.All(completions, completion => Assert.Equal(
            Encoding.UTF8.GetString([.. completion.Tokens.Where(token => token > TinyGguf.EndOfTurn).SelectMany(fixture.Model.TokenBytes)]),
            completion.Text));
        Assert.Contains(completions, completion => completion.Text.Contains('\ufffd', StringComparison.Ordinal));
    }

    [Fact]
    public async Task GenerateAsync_StopText_EndsBeforeIt()
    {
        await using var engine = Engine(fixture.Model, 1);
        var whole = await engine.CompleteAsync(Request(Prompts.Random(3, 8), 60), Token);
        var stop = whole.Text[30..34];

        var stopped = await engine.CompleteAsync(Request(Prompts.Random(3, 8), 60) with { Stop = ["not there", stop] }, Token);

        Assert.Equal(FinishReason.Length, whole.Finish);
        Assert.Equal(FinishReason.Stop, stopped.Finish);
        Assert.Equal(whole.Text[..whole.Text.IndexOf(stop, StringComparison.Ordinal)], stopped.Text);
        Assert.True(stopped.Usage.CompletionTokens < 60);
    }

    [Fact]
    public async Task GenerateAsync_NoMaxTokens_FillsTheContext()
    {
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, Slots = 2, ContextSize = 50 });

        var completion = await engine.CompleteAsync(new GenerationRequest { Prompt = Prompts.Random(4, 20) }, Token);

        Assert.Equal((FinishReason.Length, 30), (completion.Finish, completion.Usage.CompletionTokens));
    }

    [Fact]
    public async Task GenerateAsync_PromptAsLongAsTheContext_ThrowsTheNumbersAtOnce()
    {
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, ContextSize = 50 });

        var error = Assert.Throws<PromptTooLongException>(() => engine.GenerateAsync(Request(Prompts.Random(4, 50), 1), Token));

        Assert.Equal((50, 50), (error.PromptTokens, error.ContextSize));
        Assert.Equal(0, engine.Statistics.Steps);
        Assert.Equal(1, (await engine.CompleteAsync(Request(Prompts.Random(4, 49), 1), Token)).Usage.CompletionTokens);
    }

    [Fact]
    public async Task GenerateAsync_SenselessRequest_ThrowsEverythingThatIsWrong()
    {
        await using var engine = Engine(fixture.Model, 1);

        var message = Assert.Throws<ArgumentException>(() => engine.GenerateAsync(
            new GenerationRequest
            {
                Prompt = [5, 999],
                MaxTokens = 0,
                Stop = [""],
                Sampling = new() { Temperature = float.NaN, TopP = 0, TopK = -1, MinP = 2 },
            },
            Token)).Message;

        foreach (var part in new[] { "999", "MaxTokens", "stop text", "Temperature", "TopP", "TopK", "MinP" })
            Assert.Contains(part, message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => engine.GenerateAsync(new GenerationRequest { Prompt = [] }, Token));
    }

    [Fact]
    public void Constructor_SenselessOptions_ThrowsEverythingThatIsWrong()
    {
        var message = Assert.Throws<ArgumentException>(() => new BatchingEngine(
            fixture.Model, new EngineOptions { Slots = 257, ContextSize = 513, BatchTokens = 3, Threads = 0, QueueLength = -1 })).Message;

        foreach (var part in new[] { "Slots", "ContextSize", "BatchTokens", "Threads", "QueueLength" })
            Assert.Contains(part, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateAsync_ManyRequestsSomeCancelled_AllEndAndFreeTheirSlots()
    {
        await using var engine = Engine(fixture.Model, 4);
        var cancelled = 0;

        await Task.WhenAll(Enumerable.Range(0, 32).Select(async i =>
        {
            using var source = CancellationTokenSource.CreateLinkedTokenSource(Token);
            var request = Request(Prompts.Random(i, 1 + i * 7 % 60), i % 3 == 0 ? 400 : 20);
            var pieces = 0;
            try
            {
                await foreach (var _ in engine.GenerateAsync(request, source.Token))
                    if (i % 3 == 0 && ++pieces > i / 3)
                        await source.CancelAsync();
                Assert.NotEqual(0, i % 3);
            }
            catch (OperationCanceledException)
            {
                Assert.Equal(0, i % 3);
                Interlocked.Increment(ref cancelled);
            }
        })).WaitAsync(limit, Token);

        // All slots are free: four that need one at the same time run, and the statistics agree.
        await Task.WhenAll(Enumerable.Range(0, 4).Select(i => engine.CompleteAsync(Request(Prompts.Random(i, 5), 5), Token)));
        var statistics = engine.Statistics;
        Assert.Equal(11, cancelled);
        Assert.Equal((0, 0, 11L, 21L + 4, 0L),
            (statistics.Active, statistics.Queued, statistics.Cancelled, statistics.Completed, statistics.Failed));
    }

    [Fact]
    public async Task GenerateAsync_QueueFull_IsRefusedUntilASlotIsFree()
    {
        using var model = LongModel();
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = 1, QueueLength = 1 });
        await using var running = Endless(engine).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));
        var waiting = engine.CompleteAsync(Request([7], 3), Token);

        await Assert.ThrowsAsync<EngineBusyException>(() => engine.CompleteAsync(Request([8], 3), Token));
        Assert.Equal((1, 1), (engine.Statistics.Active, engine.Statistics.Queued));
        await running.DisposeAsync(); // an abandoned enumeration frees its slot

        Assert.Equal(3, (await waiting).Usage.CompletionTokens);
    }

    [Fact]
    public async Task GenerateAsync_CancelledWhileQueued_LeavesTheQueueAtOnce()
    {
        using var model = LongModel();
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = 1, QueueLength = 1 });
        await using var running = Endless(engine).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var waiting = engine.CompleteAsync(Request([7], 3), source.Token);

        await source.CancelAsync();

        Assert.Equal(0, engine.Statistics.Queued);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task GenerateAsync_CancelledBetweenReads_FreesTheSlotWithoutAnotherRead()
    {
        using var model = LongModel();
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = 1 });
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var running = Endless(engine).GetAsyncEnumerator(source.Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));

        await source.CancelAsync();

        Assert.Equal(3, (await engine.CompleteAsync(Request([7], 3), Token)).Usage.CompletionTokens);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            while (await running.MoveNextAsync()) Assert.Null(running.Current.Finish);
        });
    }

    [Fact]
    public async Task GenerateAsync_LongPromptAhead_DoesNotStallAShortOne()
    {
        using var model = LongModel();
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = 2, BatchTokens = 8 });
        var slow = engine.CompleteAsync(Request(Prompts.Random(1, 4000), 1), Token);

        // 4 + 5 steps at most, where the long prompt takes 500.
        await engine.CompleteAsync(Request(Prompts.Random(2, 8), 5), Token);

        Assert.InRange(engine.Statistics.PromptTokens, 8, 3000);
        Assert.False(slow.IsCompleted);
        Assert.Equal(4000, (await slow).Usage.PromptTokens);
    }

    [Fact]
    public async Task GenerateAsync_SlowConsumer_LosesNothingAndStallsNobody()
    {
        await using var engine = Engine(fixture.Model, 2);
        var expected = await engine.CompleteAsync(Request(Prompts.Random(1, 5), 100), Token);
        await using var slow = engine.GenerateAsync(Request(Prompts.Random(1, 5), 100), Token).GetAsyncEnumerator(Token);
        Assert.True(await slow.MoveNextAsync().AsTask().WaitAsync(limit, Token));
        var tokens = new List<int>(slow.Current.Tokens);

        for (var i = 0; i < 5; i++) await engine.CompleteAsync(Request(Prompts.Random(2, 5), 100), Token);

        while (await slow.MoveNextAsync().AsTask().WaitAsync(limit, Token)) tokens.AddRange(slow.Current.Tokens);
        Assert.Equal(expected.Tokens, tokens);
    }

    [Fact]
    public async Task DisposeAsync_WithRequestsUnderWay_EndsThemWithAnError()
    {
        using var model = LongModel();
        var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = 1 });
        var running = Drain(Endless(engine));
        var waiting = engine.CompleteAsync(Request([7], 3), Token);

        await engine.DisposeAsync().AsTask().WaitAsync(limit, Token);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => running);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => engine.CompleteAsync(Request([7], 3), Token));
        await engine.DisposeAsync();
    }

    [Fact]
    public async Task GenerateAsync_AfterTheModelIsDisposed_GoesOn()
    {
        var model = LlamaModel.Load(fixture.ModelPath);
        await using var engine = Engine(model, 1);
        model.Dispose();

        Assert.Equal(BareLoop.Greedy(fixture.Model, [9, 10], 10), (await engine.CompleteAsync(Request([9, 10], 10), Token)).Tokens);
    }

    private static BatchingEngine Engine(LlamaModel model, int slots) =>
        new(model, new EngineOptions { Threads = 1, Slots = slots, BatchTokens = 64 });

    private static GenerationRequest Request(int[] prompt, int maxTokens) => new() { Prompt = prompt, MaxTokens = maxTokens };

    private static IAsyncEnumerable<GeneratedPiece> Endless(BatchingEngine engine) =>
        engine.GenerateAsync(new GenerationRequest { Prompt = [5] }, Token);

    private static async Task Drain(IAsyncEnumerable<GeneratedPiece> pieces)
    {
        await foreach (var _ in pieces) Token.ThrowIfCancellationRequested();
    }

    /// <summary>Small, and with room for so many tokens that a completion does not end while a test looks at it.</summary>
    private LlamaModel LongModel()
    {
        var path = fixture.InFolder($"{Guid.NewGuid():N}.gguf");
        new TinyGguf { Width = 64, Heads = 2, KeyValueHeads = 1, HiddenWidth = 64, Layers = 1, ContextLength = 16384 }.Write(path);
        return LlamaModel.Load(path);
    }
}
