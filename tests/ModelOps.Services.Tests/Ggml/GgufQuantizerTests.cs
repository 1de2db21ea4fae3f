using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class GgufQuantizerTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(QuantizationType.F16, 16, "f16")]
    [InlineData(QuantizationType.BF16, 16, "bf16")]
    [InlineData(QuantizationType.Q8_0, 8.5, "q8_0")]
    [InlineData(QuantizationType.Q6_K, 6.5625, "q6_K")]
    [InlineData(QuantizationType.Q5_K_M, 5.5, "q5_K")]
    [InlineData(QuantizationType.Q4_K_M, 4.5, "q4_K")]
    [InlineData(QuantizationType.Q4_0, 4.5, "q4_0")]
    [InlineData(QuantizationType.IQ4_NL, 4.5, "iq4_nl")]
    public async Task Quantize_EachType_LoadsAndGenerates(QuantizationType type, double leastBits, string mostUsedType)
    {
        var target = fixture.InFolder($"{type}.gguf");

        var summary = GgufQuantizer.Quantize(fixture.ModelPath, target, type, threads: 1, cancellationToken: Token);

        Assert.Equal(new FileInfo(target).Length, summary.Size);
        Assert.InRange(summary.BitsPerWeight, leastBits, leastBits + 1.3);
        Assert.Equal(mostUsedType, summary.TensorsPerType.Where(pair => pair.Key != "f32").MaxBy(pair => pair.Value).Key);
        Assert.Equal(3 + 2 * 9, summary.TensorsPerType.Values.Sum());
        Assert.Empty(summary.Fallbacks);
        using var model = LlamaModel.Load(target, new LlamaModelOptions { CheckTensors = true });
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = 1, ContextSize = 64 });
        var completion = await engine.CompleteAsync(new GenerationRequest { Prompt = [10, 20, 30], MaxTokens = 8 }, Token);
        Assert.InRange(completion.Usage.CompletionTokens, 1, 8);
    }

    [Fact]
    public void Quantize_TypesWithoutImportanceMatrix_AreThoseThatLlamaCppTakes()
    {
        foreach (var type in Enum.GetValues<QuantizationType>())
        {
            var target = fixture.InFolder($"each-{type}.gguf");
            if (type.NeedsImportanceMatrix())
            {
                Assert.Throws<GgmlException>(() => GgufQuantizer.Quantize(fixture.ModelPath, target, type, threads: 1, cancellationToken: Token));
                continue;
            }
            var summary = GgufQuantizer.Quantize(fixture.ModelPath, target, type, threads: 1, cancellationToken: Token);
            using var file = ModelFiles.Gguf.GgufFile.Open(target);
            Assert.Equal((uint)type, file.Get<uint>("general.file_type"));
            Assert.Equal(file.BitsPerWeight, summary.BitsPerWeight, 1e-9);
        }
    }

    [Fact]
    public void Quantize_Q8_StaysCloseToItsSource()
    {
        var target = fixture.InFolder("close.gguf");
        GgufQuantizer.Quantize(fixture.ModelPath, target, QuantizationType.Q8_0, 1, cancellationToken: Token);
        int[] tokens = [.. Enumerable.Range(0, 64).Select(i => 3 + i * 37 % 256)];
        using var quantized = LlamaModel.Load(target);

        var (expected, found) = (Logits(fixture.Model, tokens), Logits(quantized, tokens));

        var agreeing = Enumerable.Range(0, tokens.Length).Count(i => ArgMax(expected, i) == ArgMax(found, i));
        Assert.InRange(agreeing, 58, 64);
    }

    [Fact]
    public void Quantize_RowsOfOddLength_ReportsTheFallbacks()
    {
        var source = fixture.InFolder("odd.gguf");
        new TinyGguf { Width = 96, Heads = 3, KeyValueHeads = 3, HiddenWidth = 256, Layers = 1 }.Write(source);

        var summary = GgufQuantizer.Quantize(
            source, fixture.InFolder("odd-q4.gguf"), QuantizationType.Q4_K_M, 1, cancellationToken: Token);

        Assert.Contains(new QuantizationFallback("blk.0.attn_q.weight", 96, 256, "q4_K", "q5_0"), summary.Fallbacks);
        Assert.Contains(new QuantizationFallback("blk.0.attn_v.weight", 96, 256, "q6_K", "q8_0"), summary.Fallbacks);
        Assert.DoesNotContain(summary.Fallbacks, fallback => fallback.Tensor == "blk.0.ffn_down.weight");
        Assert.True(summary.BitsPerWeight > 5.5, $"{summary.BitsPerWeight} bits per weight");
    }

    [Fact]
    public void Quantize_QuantizedSource_IsRefusedAndWritesNothing()
    {
        var (source, target) = (fixture.InFolder("twice.gguf"), fixture.InFolder("thrice.gguf"));
        GgufQuantizer.Quantize(fixture.ModelPath, source, QuantizationType.Q8_0, 1, cancellationToken: Token);

        var error = Assert.Throws<GgmlException>(
            () => GgufQuantizer.Quantize(source, target, QuantizationType.Q4_0, 1, cancellationToken: Token));

        Assert.Contains("quantized already", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(fixture.Folder, "thrice*"));
    }

    [Fact]
    public void Quantize_FolderThatIsNotThere_FailsAndWritesNothing()
    {
        var target = fixture.InFolder(Path.Combine("nowhere", "x.gguf"));

        Assert.Throws<DirectoryNotFoundException>(
            () => GgufQuantizer.Quantize(fixture.ModelPath, target, QuantizationType.Q8_0, 1, cancellationToken: Token));
    }

    [Fact]
    public void Quantize_OntoItself_Throws() => Assert.Throws<ArgumentException>(() => GgufQuantizer.Quantize(
        fixture.ModelPath, Path.Combine(fixture.Folder, ".", "tiny.gguf"), QuantizationType.Q8_0, 1, cancellationToken: Token));

    private static float[,] Logits(LlamaModel model, int[] tokens)
    {
        using var evaluator = new LlamaEvaluator(model, new LlamaEvaluatorOptions { Threads = 1 });
        return evaluator.Logits(tokens);
    }

    private static int ArgMax(float[,] logits, int row) => Enumerable.Range(0, logits.GetLength(1)).MaxBy(i => logits[row, i]);
}
