using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;
using ModelOps.Services.Tests.Ggml;
using TorchSharp;

namespace ModelOps.Services.Tests.Models;

/// <summary>Continuing texts with a cache is the same as reading them anew for every token.</summary>
public sealed class GenerationTests : IDisposable
{
    // Of different lengths, one of them longer than every window.
    private static readonly int[][] prompts = [[7], [0, 17, 301, 42, 42, 5, 199, 77, 3, 260], [90, 91, 92, 11]];
    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Kinds => [.. TestFamilies.Configs.Keys, .. TestFamilies.Others.Keys];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Generate_Greedy_EqualsTheUncachedForward(string kind)
    {
        using var model = CausalLanguageModel.Load(TestModels.Write(folder["model"], TestFamilies.Of(kind)));

        var generated = model.Generate(prompts, new() { MaxTokens = 20 }, Cancellation);

        Assert.Equal([.. prompts.Select(prompt => Uncached(model, prompt, 20))], generated.Select(row => row.Tokens.ToArray()));
        Assert.All(generated, row => Assert.False(row.Stopped));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Generate_AdapterAttached_EqualsTheUncachedForward(bool decomposed)
    {
        using var model = CausalLanguageModel.Load(TestModels.Write(folder["model"], TestFamilies.Of("qwen3")));
        var plain = model.Generate(prompts, new() { MaxTokens = 12 }, Cancellation);
        model.AttachLora(new() { Rank = 3, Alpha = 6, Dropout = 0.5, Decomposed = decomposed }, seed: 1);
        Move(model.TrainableParameters);

        var adapted = model.Generate(prompts, new() { MaxTokens = 12 }, Cancellation);

        Assert.Equal([.. prompts.Select(prompt => Uncached(model, prompt, 12))], adapted.Select(row => row.Tokens.ToArray()));
        Assert.NotEqual(plain.Select(row => row.Tokens), adapted.Select(row => row.Tokens));
    }

    [Fact]
    public async Task Generate_BundledModel_SaysWhatLlamaCppSays()
    {
        var path = Path.Combine(TestPaths.Repository, "samples", "models", "wordsmith");
        var files = ModelFolder.Open(path);
        var tokenizer = HuggingFaceTokenizer.Load(path);
        int[][] texts = [.. new[] { "year:", "a small house:", "music: the" }.Select(text => tokenizer.Encode(text))];
        GgufConversion.Convert(files, folder["model.gguf"], GgufWeightType.F32, new GgufDescription { Name = "wordsmith" }, Cancellation);
        using var llama = LlamaModel.Load(folder["model.gguf"]);
        await using var engine = new BatchingEngine(llama, new EngineOptions { Threads = 1 });
        var expected = await Task.WhenAll(texts.Select(text => engine.CompleteAsync(new() { Prompt = text, MaxTokens = 40 }, Cancellation)));
        using var model = CausalLanguageModel.Load(files);

        var generated = model.Generate(texts, new() { MaxTokens = 40, StopTokens = files.EosTokenIds }, Cancellation);

        Assert.Equal(expected.Select(completion => WithoutEnd(completion.Tokens, files)), generated.Select(row => row.Tokens.ToArray()));
        Assert.Equal(expected.Select(completion => completion.Finish == FinishReason.Stop), generated.Select(row => row.Stopped));
    }

    [Fact]
    public void Generate_StopToken_EndsItsRowAndLeavesTheOthersAsTheyWere()
    {
        using var model = Tiny();
        var whole = model.Generate(prompts, new() { MaxTokens = 24 }, Cancellation);
        var stop = whole[1].Tokens.First(token => !whole[0].Tokens.Contains(token)); // of the longest prompt alone, perhaps
        var end = whole[1].Tokens.ToList().IndexOf(stop);

        var stopped = model.Generate(prompts, new() { MaxTokens = 24, StopTokens = [stop] }, Cancellation);

        Assert.True(stopped[1].Stopped);
        Assert.Equal(whole[1].Tokens.Take(end), stopped[1].Tokens);
        Assert.Equal(whole[0].Tokens, stopped[0].Tokens);
        Assert.Equal(whole[2].Tokens.TakeWhile(token => token != stop), stopped[2].Tokens);
    }

    [Fact]
    public void Generate_Sampled_IsOfTheSeedAndTheRowAlone()
    {
        using var model = Tiny();
        var options = new GenerationOptions { MaxTokens = 16, Temperature = 1.5, Seed = 3 };

        var together = model.Generate(prompts, options, Cancellation);
        var alone = model.Generate([prompts[0]], options, Cancellation);
        var other = model.Generate(prompts, options with { Seed = 4 }, Cancellation);

        Assert.Equal(together[0].Tokens, alone[0].Tokens);
        Assert.NotEqual(together[0].Tokens, other[0].Tokens);
    }

    [Fact]
    public void Generate_Sampled_DrawsByTheModelsProbabilities()
    {
        const int Draws = 1000;
        const double Temperature = 0.5;
        using var model = Tiny();
        var logits = model.Logits(prompts[2]);
        var weights = Enumerable.Range(0, logits.GetLength(1)).Select(token => Math.Exp(logits[prompts[2].Length - 1, token] / Temperature)).ToArray();

        var drawn = model.Generate([.. Enumerable.Repeat(prompts[2], Draws)], new() { MaxTokens = 1, Temperature = Temperature, Seed = 5 }, Cancellation)
            .CountBy(row => row.Tokens[0]).ToDictionary();

        // Within four standard deviations, for every token that is likely enough to count.
        foreach (var (token, weight) in weights.Index().Where(entry => entry.Item / weights.Sum() > 0.01))
        {
            var share = weight / weights.Sum();
            Assert.InRange(drawn.GetValueOrDefault(token) / (double)Draws, share - (4 * Math.Sqrt(share / Draws)), share + (4 * Math.Sqrt(share / Draws)));
        }
    }

    [Fact]
    public void Generate_ToTheLastPosition_EndsThere()
    {
        using var model = CausalLanguageModel.Load(TestModels.Write(folder["model"], TestModels.TinyConfig with { MaxPositions = 12 }));

        var generated = model.Generate(prompts, new() { MaxTokens = 100 }, Cancellation);

        Assert.Equal([11, 2, 8], generated.Select(row => row.Tokens.Count));
    }

    [Fact]
    public void Generate_Cancelled_StopsBetweenTokens()
    {
        using var model = Tiny();
        using var canceled = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));

        Assert.Throws<OperationCanceledException>(
            () => model.Generate([.. Enumerable.Repeat(prompts[0], 64)], new() { MaxTokens = 500 }, canceled.Token));
    }

    [Fact]
    public void Generate_WhatCannotBeContinued_IsNamedAllAtOnce()
    {
        using var model = Tiny();

        var error = Assert.Throws<ArgumentException>(() => model.Generate(
            [[], [384], [.. new int[512]]], new() { MaxTokens = 0, Temperature = -1 }, Cancellation));

        Assert.All(
            ["max tokens is 0", "temperature is -1", "prompt 0 has no token", "prompt 1 has ids", "prompt 2 has 512 tokens"],
            part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    private CausalLanguageModel Tiny() => CausalLanguageModel.Load(TestModels.Write(folder["tiny"]));

    private static int[] Uncached(CausalLanguageModel model, int[] prompt, int count)
    {
        List<int> tokens = [.. prompt];
        while (tokens.Count < prompt.Length + count)
        {
            var logits = model.Logits(tokens);
            tokens.Add(Enumerable.Range(0, logits.GetLength(1)).MaxBy(token => logits[tokens.Count - 1, token]));
        }
        return [.. tokens.Skip(prompt.Length)];
    }

    private static int[] WithoutEnd(int[] tokens, ModelFolder files) => [.. tokens.TakeWhile(token => !files.EosTokenIds.Contains(token))];

    private static void Move(IEnumerable<torch.Tensor> parameters)
    {
        using var scope = torch.NewDisposeScope();
        using var frozen = torch.no_grad();
        using var randomness = new torch.Generator(2);
        foreach (var parameter in parameters) parameter.add_(torch.randn(parameter.shape, generator: randomness), 0.1);
    }
}
