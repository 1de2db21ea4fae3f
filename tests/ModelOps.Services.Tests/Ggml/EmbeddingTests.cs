using System.Runtime.InteropServices;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Services.Tests.Ggml;

public sealed class EmbeddingTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1u)] // mean
    [InlineData(3u)] // last
    public async Task EmbedAsync_Decoder_IsThePooledHiddenStateNormalised(uint pooling)
    {
        var folder = TestModels.Write(fixture.InFolder($"{Guid.NewGuid():N}"), seed: 4);
        using var model = Converted(folder, new() { ["llama.pooling_type"] = pooling });
        await using var engine = new EmbeddingEngine(model, new EmbeddingOptions { Threads = 1, BatchTokens = 64, Slots = 3 });
        int[][] inputs = [.. Enumerable.Range(1, 9).Select(i => Prompts.Random(i, i * 5))];

        var vectors = await engine.EmbedAsync(inputs, Token);

        Assert.True(model is { Embeds: true, Generates: true, Ranks: false });
        Assert.Equal(64, engine.Width);
        var decoder = new ScalarDecoder(folder);
        foreach (var (input, vector) in inputs.Zip(vectors))
        {
            var hidden = decoder.Hidden(input);
            var pooled = Enumerable.Range(0, 64).Select(i => pooling == 1 ? hidden.Average(row => row[i]) : hidden[^1][i]).ToArray();
            var length = Math.Sqrt(pooled.Sum(value => value * value));
            Assert.All(pooled.Zip(vector), pair => Assert.Equal(pair.First / length, pair.Second, 2e-3)); // keys, values and scores are F16
        }
        Assert.InRange(engine.Statistics.Steps, 4, 9); // 225 tokens in batches of 64
        Assert.Equal((225L, 9L), (engine.Statistics.PromptTokens, engine.Statistics.Completed));
    }

    [Fact]
    public async Task EmbedAsync_Encoder_SeesBothSidesAndMixesNoInputs()
    {
        using var model = Bert(pooling: 2);
        await using var engine = new EmbeddingEngine(model, new EmbeddingOptions { Threads = 1 });
        int[][] inputs = [.. new[] { "a b c", "a b d", "z", "a b c" }.Select(text => model.Tokenize(text, addSpecial: true, parseSpecial: false))];

        var together = await engine.EmbedAsync(inputs, Token);
        var alone = new List<float[]>();
        foreach (var input in inputs) alone.Add((await engine.EmbedAsync([input], Token))[0]);

        Assert.True(model is { Embeds: true, Generates: false, Ranks: false });
        Assert.All(together.Zip(alone), pair => Assert.All(pair.First.Zip(pair.Second), numbers => Assert.Equal(numbers.Second, numbers.First, 1e-4)));
        Assert.All(together, vector => Assert.Equal(1, vector.Sum(value => value * value), 1e-4));
        Assert.All(together[0].Zip(together[3]), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
        Assert.InRange(Cosine(together[0], together[1]), -1, 0.9999); // the first token's state knows the last word
    }

    [Fact]
    public async Task RankAsync_Encoder_ScoresByItsOneLogit()
    {
        using var model = Bert(pooling: 4);
        await using var engine = new RerankEngine(model, new EmbeddingOptions { Threads = 1 });
        string[] documents = ["a b", "c", "x y z", "a b"];

        var ranking = await engine.RankAsync("a", documents, Token);

        Assert.True(model is { Embeds: false, Generates: false, Ranks: true });
        Assert.Equal(ranking.Scores[0], ranking.Scores[3], 1e-5);
        Assert.All(ranking.Scores, score => Assert.InRange(score, 0.0001f, 0.9999f));
        Assert.Equal(3, ranking.Scores.Distinct().Count());
        Assert.Equal(4 * "[CLS] a [SEP] [SEP]".Split().Length + 8, ranking.PromptTokens); // as its tokenizer wants a pair
        Assert.NotEqual(ranking.Scores, (await engine.RankAsync("q", documents, Token)).Scores);
    }

    [Fact]
    public async Task RankAsync_DecoderWithYesAndNo_HasTheProbabilityOfYes()
    {
        var folder = TestModels.Write(fixture.InFolder($"{Guid.NewGuid():N}"), TestFamilies.Of("qwen3"), seed: 6);
        var random = new Random(1);
        float[] head = [.. Enumerable.Range(0, 64 * 2).Select(_ => ((random.NextSingle() * 2) - 1) * 0.3f)];
        using var model = Converted(folder, new()
        {
            ["qwen3.pooling_type"] = 4u,
            ["qwen3.classifier.output_labels"] = (string[])["yes", "no"],
            ["tokenizer.chat_template.rerank"] = "<|im_start|>{query}<|im_end|>{document}<|im_start|>",
        }, ("cls.output.weight", [64, 2], head));
        await using var engine = new RerankEngine(model, new EmbeddingOptions { Threads = 1 });
        string[] documents = ["fox", "the lazy dog", "<|im_end|>"];

        var scores = (await engine.RankAsync("what jumps?", documents, Token)).Scores;

        var decoder = new ScalarDecoder(folder);
        foreach (var (document, score) in documents.Zip(scores))
        {
            int[] tokens = [1, .. model.Tokenize("what jumps?", false, false), 2, .. model.Tokenize(document, false, false), 1];
            var last = decoder.Hidden(tokens)[^1];
            var logits = Enumerable.Range(0, 2).Select(label => last.Select((value, i) => value * head[(label * 64) + i]).Sum()).ToArray();
            Assert.Equal(Math.Exp(logits[0]) / logits.Sum(Math.Exp), score, 2e-3);
        }
    }

    [Fact]
    public async Task EmbedAsync_WrongInputs_AreRefusedWithTheNumbers()
    {
        using var model = Bert(pooling: 1);
        await using var engine = new EmbeddingEngine(model, new EmbeddingOptions { Threads = 1, QueueLength = 2 });

        Assert.Equal(64, engine.ContextSize); // of the model, less than the batch's
        var tooLong = await Assert.ThrowsAsync<PromptTooLongException>(() => engine.EmbedAsync([[5], [.. Enumerable.Repeat(5, 65)]], Token));
        Assert.Equal((65, 64), (tooLong.PromptTokens, tooLong.ContextSize));
        await Assert.ThrowsAsync<ArgumentException>(() => engine.EmbedAsync([[]], Token));
        Assert.Contains("31", (await Assert.ThrowsAsync<ArgumentException>(() => engine.EmbedAsync([[31]], Token))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<EngineBusyException>(() => engine.EmbedAsync([[5], [5], [5]], Token));
        Assert.Empty(await engine.EmbedAsync([], Token));
        Assert.Equal(2, (await engine.EmbedAsync([[.. Enumerable.Repeat(5, 64)], [5]], Token)).Count);
    }

    [Fact]
    public void Constructors_ModelsOfAnotherKind_AreRefused()
    {
        using var ranks = Bert(pooling: 4);
        using var embeds = Bert(pooling: 1);

        Assert.Contains("None", Assert.Throws<InvalidOperationException>(() => new EmbeddingEngine(fixture.Model)).Message, StringComparison.Ordinal);
        Assert.Contains("Mean", Assert.Throws<InvalidOperationException>(() => new RerankEngine(embeds)).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => new EmbeddingEngine(ranks));
        Assert.Contains("does not continue texts", Assert.Throws<InvalidOperationException>(() => new BatchingEngine(embeds)).Message, StringComparison.Ordinal);
        var message = Assert.Throws<ArgumentException>(
            () => new EmbeddingEngine(embeds, new EmbeddingOptions { BatchTokens = 0, Slots = 257, Threads = 0, QueueLength = 0 })).Message;
        foreach (var part in new[] { "BatchTokens", "Slots", "Threads", "QueueLength" }) Assert.Contains(part, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EmbedAsync_ManyCallersSomeCancelled_AllEnd()
    {
        using var model = Bert(pooling: 1);
        var engine = new EmbeddingEngine(model, new EmbeddingOptions { Threads = 1, BatchTokens = 64, QueueLength = 10_000 });
        var expected = (await engine.EmbedAsync([[2, 5, 3]], Token))[0];

        await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            using var source = CancellationTokenSource.CreateLinkedTokenSource(Token);
            if (i % 4 > 0)
            {
                var vectors = await engine.EmbedAsync([.. Enumerable.Repeat((int[])[2, 5, 3], 50)], source.Token);
                Assert.All(vectors, vector => Assert.All(vector.Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 1e-4)));
                return;
            }
            var call = engine.EmbedAsync([.. Enumerable.Repeat((int[])[.. Enumerable.Repeat(5, 64)], 100)], source.Token);
            await source.CancelAsync();
            if (await Record.ExceptionAsync(() => call) is { } ended) Assert.IsType<OperationCanceledException>(ended, exactMatch: false); // else it was faster
        })).WaitAsync(limit, Token);

        Assert.NotEqual(0, engine.Statistics.Cancelled);
        Assert.Equal(0, engine.Statistics.Queued);
        var waiting = engine.EmbedAsync([.. Enumerable.Repeat((int[])[.. Enumerable.Repeat(5, 64)], 5000)], Token);
        await engine.DisposeAsync().AsTask().WaitAsync(limit, Token);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => engine.EmbedAsync([[5]], Token));
    }

    private LlamaModel Bert(uint pooling)
    {
        var path = fixture.InFolder($"{Guid.NewGuid():N}.gguf");
        new TinyBert { Pooling = pooling }.Write(path);
        return LlamaModel.Load(path);
    }

    /// <summary>A model folder as GGUF, with more metadata and tensors.</summary>
    private LlamaModel Converted(ModelFolder folder, Dictionary<string, object> metadata, params (string Name, long[] Shape, float[] Values)[] tensors)
    {
        var (plain, path) = (fixture.InFolder($"{Guid.NewGuid():N}.gguf"), fixture.InFolder($"{Guid.NewGuid():N}.gguf"));
        GgufConversion.Convert(folder, plain, GgufWeightType.F32, new GgufDescription { Name = "Tiny" }, Token);
        using var file = GgufFile.Open(plain);
        GgufWriter.Write(path, file.Metadata.Concat(metadata), [
            .. file.Tensors.Values.Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Dimensions, stream =>
            {
                var bytes = new byte[tensor.Length];
                file.Read(tensor.Name, bytes);
                stream.Write(bytes);
            })),
            .. tensors.Select(tensor => new GgufTensorSource(
                tensor.Name, GgmlType.F32, tensor.Shape, stream => stream.Write(MemoryMarshal.AsBytes<float>(tensor.Values)))),
        ]);
        return LlamaModel.Load(path);
    }

    private static double Cosine(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();
}
