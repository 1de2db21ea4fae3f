using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class PrefixCacheTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_SamePromptAgain_ComputesItsLastTokenOnly()
    {
        await using var engine = Engine(slots: 2);

        var first = await engine.CompleteAsync(Request(Prompts.Random(1, 100)), Token);
        var second = await engine.CompleteAsync(Request(Prompts.Random(1, 100)), Token);

        Assert.Equal((0, 99), (first.Usage.CachedPromptTokens, second.Usage.CachedPromptTokens));
        Assert.Equal(first.Tokens, second.Tokens);
        Assert.Equal((101L, 99L), (engine.Statistics.PromptTokens, engine.Statistics.CachedPromptTokens));
    }

    [Fact]
    public async Task GenerateAsync_ConversationGoesOn_KeepsTheAnswerToo()
    {
        await using var engine = Engine(slots: 2);
        int[] question = Prompts.Random(1, 50);
        var answer = await engine.CompleteAsync(Request(question), Token);

        var next = await engine.CompleteAsync(Request([.. question, .. answer.Tokens, .. Prompts.Random(2, 10)]), Token);

        // The last token of the answer was sampled, not yet computed.
        Assert.Equal(50 + answer.Tokens.Length - 1, next.Usage.CachedPromptTokens);
    }

    [Fact]
    public async Task GenerateAsync_PrefixOfARequestUnderWay_IsCopied()
    {
        await using var engine = Engine(slots: 2);
        int[] prefix = Prompts.Random(1, 80);
        await using var running = engine.GenerateAsync(Request([.. prefix, 9]) with { MaxTokens = 400 }, Token).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));

        var other = await engine.CompleteAsync(Request([.. prefix, 10, 11]), Token);

        Assert.Equal(80, other.Usage.CachedPromptTokens);
        Assert.Equal(BareLoop.Greedy(fixture.Model, [.. prefix, 10, 11], 20), other.Tokens);
        var tokens = new List<int>(running.Current.Tokens);
        while (await running.MoveNextAsync().AsTask().WaitAsync(limit, Token)) tokens.AddRange(running.Current.Tokens);
        Assert.Equal(BareLoop.Greedy(fixture.Model, [.. prefix, 9], 400), tokens);
    }

    [Fact]
    public async Task GenerateAsync_SharedPrefixOfLongConversations_KeepsThem()
    {
        await using var engine = Engine(slots: 3);
        int[] prefix = Prompts.Random(1, 60);
        int[][] conversations = [.. Enumerable.Range(2, 2).Select(seed => (int[])[.. prefix, .. Prompts.Random(seed, 100)])];
        foreach (var conversation in conversations) await engine.CompleteAsync(Request(conversation), Token);

        var again = new List<int>();
        foreach (var conversation in conversations) again.Add((await engine.CompleteAsync(Request(conversation), Token)).Usage.CachedPromptTokens);

        Assert.Equal([159, 159], again);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task GenerateAsync_RandomTreeOfPrompts_EqualsAnEngineWithoutCache(int slots)
    {
        await using var cached = Engine(slots);
        await using var cold = new BatchingEngine(
            fixture.Model, new EngineOptions { Threads = 1, Slots = slots, BatchTokens = 64, PrefixCache = false });
        var random = new Random(slots);
        var prompts = new List<int[]> { Prompts.Random(1, 90) };
        for (var i = 1; i < 30; i++)
        {
            var parent = prompts[random.Next(prompts.Count)];
            prompts.Add([.. parent.AsSpan(0, random.Next(1, parent.Length)), .. Prompts.Random(100 + i, random.Next(1, 60))]);
        }

        var warm = await Task.WhenAll(prompts.Select(prompt => cached.CompleteAsync(Request(prompt), Token)));
        var plain = await Task.WhenAll(prompts.Select(prompt => cold.CompleteAsync(Request(prompt), Token)));

        Assert.All(warm.Zip(plain), pair => Assert.Equal(pair.Second.Tokens, pair.First.Tokens));
        Assert.InRange(cached.Statistics.CachedPromptTokens, 100, prompts.Sum(prompt => prompt.Length));
        Assert.Equal(0, cold.Statistics.CachedPromptTokens);
        Assert.Equal(prompts.Sum(prompt => prompt.Length), cached.Statistics.CachedPromptTokens + cached.Statistics.PromptTokens);
    }

    private BatchingEngine Engine(int slots) => new(fixture.Model, new EngineOptions { Threads = 1, Slots = slots, BatchTokens = 64 });

    private static GenerationRequest Request(int[] prompt) => new() { Prompt = prompt, MaxTokens = 20 };
}
