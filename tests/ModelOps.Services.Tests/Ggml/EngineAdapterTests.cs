using ModelOps.Ggml;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Services.Tests.Ggml;

public sealed class EngineAdapterTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_MixedAdapters_EachEqualsItsMergedModelTokenForToken()
    {
        await using var engine = Engine(slots: 6);
        var expected = new Dictionary<string, int[]>();
        foreach (var seed in new[] { 1, 2 })
        {
            var adapter = new TinyAdapter { Seed = seed };
            await engine.LoadAdapterAsync($"a{seed}", Written(adapter), Token);
            var merged = fixture.InFolder($"merged-{seed}.gguf");
            adapter.Merge(fixture.ModelPath, merged);
            using var model = LlamaModel.Load(merged);
            expected[$"a{seed}"] = BareLoop.Greedy(model, Prompts.Random(3, 40), 32);
        }
        expected[""] = BareLoop.Greedy(fixture.Model, Prompts.Random(3, 40), 32);

        string[] wanted = ["a1", "", "a2", "a2", "a1", ""];
        var completions = await Task.WhenAll(wanted.Select(adapter => engine.CompleteAsync(Request(adapter), Token)));

        Assert.Equal(["a1", "a2"], engine.Adapters);
        Assert.All(wanted.Zip(completions), pair => Assert.Equal(expected[pair.First], pair.Second.Tokens));
        Assert.Equal(3, expected.Values.Select(tokens => string.Join(' ', tokens)).Distinct().Count());
    }

    [Fact]
    public async Task GenerateAsync_SamePromptOtherAdapter_SharesNoCache()
    {
        await using var engine = Engine(slots: 3);
        await engine.LoadAdapterAsync("a", Written(new TinyAdapter { Seed = 1 }), Token);

        var cached = new List<int>();
        foreach (var adapter in new[] { "", "a", "a", "" }) cached.Add((await engine.CompleteAsync(Request(adapter), Token)).Usage.CachedPromptTokens);

        Assert.Equal([0, 0, 39, 39], cached);
    }

    [Fact]
    public async Task LoadAdapterAsync_SameName_RequestsUnderWayFinishOnTheirs()
    {
        await using var engine = Engine(slots: 2);
        var (first, second) = (Written(new TinyAdapter { Seed = 1 }), Written(new TinyAdapter { Seed = 2 }));
        await engine.LoadAdapterAsync("a", first, Token);
        var before = (await engine.CompleteAsync(Request("a"), Token)).Tokens;
        var long1 = Request("a") with { MaxTokens = 400 };
        await using var running = engine.GenerateAsync(long1, Token).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));

        await engine.LoadAdapterAsync("a", second, Token);
        var after = (await engine.CompleteAsync(Request("a"), Token)).Tokens;
        var tokens = new List<int>(running.Current.Tokens);
        while (await running.MoveNextAsync().AsTask().WaitAsync(limit, Token)) tokens.AddRange(running.Current.Tokens);

        Assert.NotEqual(before, after);
        Assert.Equal(before, tokens[..before.Length]);
        Assert.Equal(["a"], engine.Adapters);
        await engine.LoadAdapterAsync("b", first, Token); // an errand between steps: after it, the unused version is gone
        await engine.CompleteAsync(Request(""), Token);
        Assert.Equal(0, engine.RetiredAdapters);
    }

    [Fact]
    public async Task UnloadAdapter_WithARequestUnderWay_LetsItFinishAndRefusesOthers()
    {
        await using var engine = Engine(slots: 2);
        await engine.LoadAdapterAsync("a", Written(new TinyAdapter()), Token);
        await using var running = engine.GenerateAsync(Request("a") with { MaxTokens = 400 }, Token).GetAsyncEnumerator(Token);
        Assert.True(await running.MoveNextAsync().AsTask().WaitAsync(limit, Token));

        Assert.True(engine.UnloadAdapter("a"));
        Assert.False(engine.UnloadAdapter("a"));

        Assert.Equal("a", (await Assert.ThrowsAsync<AdapterNotFoundException>(() => engine.CompleteAsync(Request("a"), Token))).Adapter);
        GeneratedPiece? last = null;
        while (await running.MoveNextAsync().AsTask().WaitAsync(limit, Token)) last = running.Current;
        Assert.Equal(400, last?.Usage?.CompletionTokens);
        Assert.Empty(engine.Adapters);
    }

    [Fact]
    public async Task GenerateAsync_EndlessRequestsOfOneAdapter_DoNotStarveAnother()
    {
        await using var engine = Engine(slots: 4);
        await engine.LoadAdapterAsync("a", Written(new TinyAdapter { Seed = 1 }), Token);
        await engine.LoadAdapterAsync("b", Written(new TinyAdapter { Seed = 2 }), Token);
        var endless = Enumerable.Range(0, 3).Select(_ => engine.CompleteAsync(Request("a") with { MaxTokens = 450 }, Token)).ToArray();

        var steps = engine.Statistics.Steps;
        await engine.CompleteAsync(Request("b") with { MaxTokens = 10 }, Token);

        // Its prompt takes a step, its tokens nine more, and the other adapter has every second.
        Assert.InRange(engine.Statistics.Steps - steps, 10, 60);
        Assert.DoesNotContain(endless, task => task.IsCompleted);
        await Task.WhenAll(endless);
    }

    [Fact]
    public async Task LoadAdapterAsync_OfAnotherModel_SaysEverythingThatDiffers()
    {
        await using var engine = Engine(slots: 1);

        var other = await Error(new TinyAdapter { Architecture = "qwen2", Type = "model" });
        Assert.Contains("'qwen2'", other, StringComparison.Ordinal);
        Assert.Contains("general.type", other, StringComparison.Ordinal);
        var shapes = await Error(new TinyAdapter
        {
            Change = tensor => tensor.Name switch
            {
                "blk.0.attn_q.weight.lora_b" => tensor with { Dimensions = [tensor.Dimensions[0] * 2, tensor.Dimensions[1] / 2] },
                "blk.0.attn_k.weight.lora_a" => tensor with { Name = "blk.7.attn_k.weight.lora_a" },
                "blk.1.ffn_up.weight.lora_a" => null,
                "blk.1.ffn_down.weight.lora_a" => tensor with { Name = "blk.1.ffn_down.weight" },
                _ => tensor,
            },
        });
        foreach (var part in new[] { "blk.0.attn_q.weight", "blk.7.attn_k.weight", "blk.1.ffn_up.weight.lora_b", "no part of a LoRA pair" })
            Assert.Contains(part, shapes, StringComparison.Ordinal);
        await Assert.ThrowsAsync<FileNotFoundException>(() => engine.LoadAdapterAsync("a", fixture.InFolder("none"), Token));
        Assert.Contains("general.type", (await Assert.ThrowsAsync<GgmlException>(() => engine.LoadAdapterAsync("a", fixture.ModelPath, Token))).Message, StringComparison.Ordinal);
        Assert.Empty(engine.Adapters);
        Assert.Equal(32, (await engine.CompleteAsync(Request(""), Token)).Usage.CompletionTokens);

        async Task<string> Error(TinyAdapter adapter) =>
            (await Assert.ThrowsAsync<GgmlException>(() => engine.LoadAdapterAsync("a", Written(adapter), Token))).Message;
    }

    private BatchingEngine Engine(int slots) => new(fixture.Model, new EngineOptions { Threads = 1, Slots = slots, BatchTokens = 64 });

    private string Written(TinyAdapter adapter)
    {
        var path = fixture.InFolder($"{Guid.NewGuid():N}.gguf");
        adapter.Write(path, fixture.ModelPath);
        return path;
    }

    private static GenerationRequest Request(string adapter) =>
        new() { Prompt = Prompts.Random(3, 40), MaxTokens = 32, Adapter = adapter.Length == 0 ? null : adapter };
}
