using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class LlamaEvaluatorTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static readonly int[] text = [.. Enumerable.Range(0, 40).Select(i => 3 + i * 37 % 256)];

    [Fact]
    public void Logits_OfAPrefix_AreThoseOfTheWhole()
    {
        using var evaluator = new LlamaEvaluator(fixture.Model, new LlamaEvaluatorOptions { Threads = 1 });

        var whole = evaluator.Logits(text);
        var prefix = evaluator.Logits(text.AsSpan(0, 25));

        Assert.Equal((40, 259), (whole.GetLength(0), whole.GetLength(1)));
        for (var position = 0; position < 25; position++)
            for (var token = 0; token < 259; token++)
                Assert.Equal(whole[position, token], prefix[position, token], 1e-3f);
        Assert.Contains(Enumerable.Range(0, 259), token => Math.Abs(whole[0, token] - whole[39, token]) > 0.1f);
    }

    [Fact]
    public void Logits_LongerThanAChunk_CoverEveryPosition()
    {
        var path = fixture.InFolder("long.gguf");
        new TinyGguf { Width = 32, Heads = 2, KeyValueHeads = 2, HiddenWidth = 32, Layers = 1, ContextLength = 1024 }.Write(path);
        using var model = LlamaModel.Load(path);
        using var evaluator = new LlamaEvaluator(model, new LlamaEvaluatorOptions { Threads = 1 });
        int[] tokens = [.. Enumerable.Range(0, 700).Select(i => 3 + i * 31 % 256)];

        var logits = evaluator.Logits(tokens);
        var beginning = evaluator.Logits(tokens.AsSpan(0, 600));

        for (var token = 0; token < 259; token++) Assert.Equal(beginning[599, token], logits[599, token], 1e-3f);
        Assert.Contains(Enumerable.Range(0, 259), token => logits[699, token] != 0);
    }

    [Fact]
    public void Logits_TokensThatCannotBe_AreRefused()
    {
        using var evaluator = new LlamaEvaluator(fixture.Model, new LlamaEvaluatorOptions { ContextSize = 16, Threads = 1 });

        Assert.Throws<ArgumentException>(() => evaluator.Logits([]));
        Assert.Throws<ArgumentException>(() => evaluator.Logits(new int[17]));
        Assert.Throws<ArgumentOutOfRangeException>(() => evaluator.Logits([1, 259]));
    }

    [Fact]
    public void Logits_AfterTheModelIsDisposed_GoOn()
    {
        var model = LlamaModel.Load(fixture.ModelPath);
        using var evaluator = new LlamaEvaluator(model, new LlamaEvaluatorOptions { Threads = 1 });
        var before = evaluator.Logits(text);

        model.Dispose();

        Assert.Equal(before, evaluator.Logits(text));
    }

    [Fact]
    public void Constructor_ContextBeyondTraining_Throws() => Assert.Throws<ArgumentException>(
        () => new LlamaEvaluator(fixture.Model, new LlamaEvaluatorOptions { ContextSize = 513, Threads = 1 }));
}
