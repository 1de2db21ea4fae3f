using ModelOps.Ggml;
using ModelOps.Quantization;
using ModelOps.Services.Tests.Ggml;

namespace ModelOps.Services.Tests.Quantization;

public sealed class QualityComparisonTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static readonly int[][] texts = [[.. Enumerable.Range(0, 70).Select(i => 3 + (i * 37 % 256))], [40, 41], [7]];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Compare_Quantized_GivesWhatWholeMatricesGive()
    {
        var quantized = fixture.InFolder("quality-q4.gguf");
        GgufQuantizer.Quantize(fixture.ModelPath, quantized, QuantizationType.Q4_0, 1, cancellationToken: Cancellation);
        var (losses, sourceLosses, divergences, same) = (new List<double>(), new List<double>(), new List<double>(), 0);
        foreach (var text in texts.Where(text => text.Length > 1))
        {
            var (p, q) = (LogProbabilities(fixture.ModelPath, text), LogProbabilities(quantized, text));
            for (var t = 0; t < text.Length; t++)
            {
                divergences.Add(p[t].Zip(q[t], (a, b) => Math.Exp(a) * (a - b)).Sum());
                if (Array.IndexOf(p[t], p[t].Max()) == Array.IndexOf(q[t], q[t].Max())) same++;
                if (t + 1 == text.Length) continue;
                sourceLosses.Add(-p[t][text[t + 1]]);
                losses.Add(-q[t][text[t + 1]]);
            }
        }

        var seen = new List<int>();
        var report = QualityComparison.Compare(fixture.ModelPath, quantized, texts, 1, seen.Add, Cancellation);

        Assert.Equal((2, 72L), (report.Texts, report.Tokens));
        Assert.Equal(sourceLosses.Average(), Math.Log(report.SourcePerplexity), 1e-5);
        Assert.Equal(losses.Average(), Math.Log(report.Perplexity), 1e-5);
        Assert.Equal(divergences.Average(), report.KlDivergence, 1e-5);
        Assert.Equal(divergences.Max(), report.KlDivergenceMax, 1e-4);
        Assert.InRange(report.KlDivergenceP99, report.KlDivergence, report.KlDivergenceMax);
        Assert.Equal((double)same / divergences.Count, report.TopOneAgreement, 0.03);
        Assert.Equal([1, 2, 3], seen);
    }

    [Fact]
    public void Compare_WithItself_FindsNoDifference()
    {
        var report = QualityComparison.Compare(fixture.ModelPath, fixture.ModelPath, texts, 1, cancellationToken: Cancellation);

        Assert.Equal((0, 1), (report.KlDivergenceMax, report.TopOneAgreement));
        Assert.Equal(report.SourcePerplexity, report.Perplexity);
    }

    [Fact]
    public void Compare_NoTextOfTwoTokens_IsRefused() => Assert.Throws<ArgumentException>(
        () => QualityComparison.Compare(fixture.ModelPath, fixture.ModelPath, [[7]], 1, cancellationToken: Cancellation));

    [Fact]
    public void Measure_Model_GivesSpeedsOfItsThreads()
    {
        var speed = ModelSpeed.Measure(fixture.Model, threads: 1, TimeProvider.System, Cancellation);

        Assert.True(speed.PromptTokensPerSecond > speed.DecodeTokensPerSecond, $"{speed}");
        Assert.True(speed.DecodeTokensPerSecond > 1, $"{speed}");
        Assert.Equal((128, 1), (speed.PromptTokens, speed.Threads));
    }

    private static double[][] LogProbabilities(string path, int[] text)
    {
        using var model = LlamaModel.Load(path);
        using var evaluator = new LlamaEvaluator(model, new LlamaEvaluatorOptions { Threads = 1 });
        var logits = evaluator.Logits(text);
        return
        [
            .. Enumerable.Range(0, text.Length).Select(t =>
            {
                var row = Enumerable.Range(0, logits.GetLength(1)).Select(v => (double)logits[t, v]).ToArray();
                var normalizer = Math.Log(row.Sum(Math.Exp));
                return row.Select(value => value - normalizer).ToArray();
            }),
        ];
    }
}
