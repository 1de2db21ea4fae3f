using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class SchedulingTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0, "high normal low")]
    [InlineData(9, "high normal low")]
    [InlineData(11, "normal high low")]
    [InlineData(61, "normal low high")]
    public async Task GenerateAsync_Priorities_GoFirstUntilOthersWaitedLong(int seconds, string expected)
    {
        var time = new ManualTime();
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, Slots = 1 }, time: time);
        await using var running = engine.GenerateAsync(Request(), Token).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));
        var order = new List<string>();
        var gate = new Lock();

        Task[] low = [Run("low", RequestPriority.Low), Run("normal", RequestPriority.Normal)];
        time.Advance(TimeSpan.FromSeconds(seconds));
        var high = Run("high", RequestPriority.High);
        await running.DisposeAsync();
        await Task.WhenAll([.. low, high]);

        Assert.Equal(expected, string.Join(' ', order));

        async Task Run(string name, RequestPriority priority)
        {
            await using var pieces = engine.GenerateAsync(Request() with { Priority = priority }, Token).GetAsyncEnumerator(Token);
            Assert.True(await pieces.MoveNextAsync().AsTask().WaitAsync(limit, Token));
            lock (gate) order.Add(name); // the one slot is this one's until here
        }
    }

    [Fact]
    public async Task GenerateAsync_QueuedTokensOverTheLimit_AreRefusedWithTheNumbers()
    {
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, Slots = 1, QueueTokens = 100 });
        await using var running = engine.GenerateAsync(Request(), Token).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));
        var waiting = engine.CompleteAsync(new GenerationRequest { Prompt = Prompts.Random(1, 60), MaxTokens = 1 }, Token);

        var error = await Assert.ThrowsAsync<EngineBusyException>(
            () => engine.CompleteAsync(new GenerationRequest { Prompt = Prompts.Random(1, 41), MaxTokens = 1 }, Token));

        Assert.Equal((1, 1), (error.Active, error.Queued));
        foreach (var number in new[] { "60", "41", "100" }) Assert.Contains(number, error.Message, StringComparison.Ordinal);
        Assert.Equal(60, engine.Statistics.QueuedTokens);
        await running.DisposeAsync();
        await waiting;
        Assert.Equal(0, engine.Statistics.QueuedTokens);
    }

    [Fact]
    public async Task GenerateAsync_Usage_HasTheTimes()
    {
        var time = new ManualTime();
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, Slots = 1 }, time: time);
        await using var running = engine.GenerateAsync(Request(), Token).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));
        var waiting = engine.CompleteAsync(Request() with { MaxTokens = 2 }, Token);
        time.Advance(TimeSpan.FromSeconds(3));
        await running.DisposeAsync();

        var usage = (await waiting).Usage;

        Assert.Equal((TimeSpan.FromSeconds(3), TimeSpan.Zero, TimeSpan.Zero), (usage.QueueTime, usage.PromptTime, usage.DecodeTime));
    }

    private static GenerationRequest Request() => new() { Prompt = [5], MaxTokens = 500 };

    /// <summary>Stands still until it is told to go on.</summary>
    private sealed class ManualTime : TimeProvider
    {
        private long ticks = 1;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Interlocked.Read(ref ticks);

        public void Advance(TimeSpan time) => Interlocked.Add(ref ticks, time.Ticks);
    }
}
