using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>
/// What the engine generates greedily is what libllama generates for one sequence, token for token: at any batch size, however prompts are cut
/// into chunks, with prefixes from the cache and with adapters of others in between. F32 weights, since a quantized matrix product rounds
/// otherwise for other numbers of rows, and no flash attention, whose kernel depends on them too: there, a near-tie may fall the other way.
/// </summary>
public sealed class EngineCorrectnessTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private const int Tokens = 16;

    private static readonly Lock gate = new();
    private static readonly Dictionary<string, string> converted = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, int, bool> Cases
    {
        get
        {
            var cases = new TheoryData<string, int, bool>();
            foreach (var slots in new[] { 1, 4, 16 })
                foreach (var cache in new[] { false, true })
                    cases.Add("wordsmith", slots, cache);
            foreach (var family in TestFamilies.Configs.Keys) cases.Add(family, 4, true);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task GenerateAsync_Greedy_EqualsOneSequenceOfLibllama(string kind, int slots, bool cache)
    {
        using var model = LlamaModel.Load(Converted(kind));
        await using var engine = new BatchingEngine(
            model, new EngineOptions { Threads = 1, Slots = slots, BatchTokens = 96, PrefixCache = cache, ContextSize = Math.Min(512, model.ContextLength) });
        await engine.LoadAdapterAsync("other", Adapter(model), Token);
        var random = new Random(slots);
        int[] Random(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(3, model.VocabularySize))];
        var shared = Random(90);
        int[][] prompts = [.. Enumerable.Range(0, 8).Select(i => i < 4 ? [.. shared, .. Random(1 + i)] : Random(1 + (i * 13)))];
        var expected = prompts.Select(prompt => BareLoop.Greedy(model, prompt, Tokens)).ToArray();

        var mixed = await Task.WhenAll(prompts.Select(async prompt =>
        {
            var other = engine.CompleteAsync(new GenerationRequest { Prompt = prompt, MaxTokens = Tokens, Adapter = "other" }, Token);
            var own = await engine.CompleteAsync(new GenerationRequest { Prompt = prompt, MaxTokens = Tokens }, Token);
            await other;
            return own;
        }));
        var again = new List<Completion>();
        foreach (var prompt in prompts) again.Add(await engine.CompleteAsync(new GenerationRequest { Prompt = prompt, MaxTokens = Tokens }, Token));

        Assert.All(expected.Zip(mixed), pair => Assert.Equal(pair.First, pair.Second.Tokens));
        Assert.All(expected.Zip(again), pair => Assert.Equal(pair.First, pair.Second.Tokens));
        Assert.Equal(cache, again.Sum(completion => completion.Usage.CachedPromptTokens) > 0);
    }

    private string Converted(string kind)
    {
        lock (gate)
        {
            if (converted.TryGetValue(kind, out var known) && File.Exists(known)) return known;
            var path = fixture.InFolder($"{kind}.gguf");
            var folder = kind == "wordsmith"
                ? ModelFolder.Open(Path.Combine(TestPaths.Repository, "samples", "models", "wordsmith"))
                : TestModels.Write(fixture.InFolder(kind), TestFamilies.Of(kind), seed: 3);
            GgufConversion.Convert(folder, path, GgufWeightType.F32, new GgufDescription { Name = kind }, Token);
            return converted[kind] = path;
        }
    }

    private string Adapter(LlamaModel model)
    {
        var path = fixture.InFolder($"{Guid.NewGuid():N}.gguf");
        new TinyAdapter { Architecture = model.Metadata["general.architecture"] }.Write(path, model.Path);
        return path;
    }
}
