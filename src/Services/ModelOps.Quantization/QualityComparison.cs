using ModelOps.Ggml;

namespace ModelOps.Quantization;

/// <summary>How far a quantized model is from its source on the same texts, over every position of them.</summary>
/// <param name="Tokens">Positions that were compared.</param>
/// <param name="SourcePerplexity">e to the mean loss (nats) of each next token of the texts.</param>
/// <param name="Perplexity">The quantized model's.</param>
/// <param name="KlDivergence">Of the quantized model's distribution from the source's, nats per token: the mean.</param>
/// <param name="KlDivergenceP99">99 of 100 positions are below it.</param>
/// <param name="TopOneAgreement">Share of positions at which both choose the same token.</param>
public sealed record QualityReport(
    int Texts,
    long Tokens,
    double SourcePerplexity,
    double Perplexity,
    double KlDivergence,
    double KlDivergenceP99,
    double KlDivergenceMax,
    double TopOneAgreement);

/// <summary>
/// Compares two GGUF files by llama.cpp. Both compute the same few positions at a time and are compared in place: what stands in memory is the
/// models and some rows of logits, however long the texts and however large the vocabulary.
/// </summary>
public static class QualityComparison
{
    /// <summary>A longer text is compared in its first tokens.</summary>
    public const int MaxTokens = 512;

    private const int ChunkTokens = 32;

    /// <param name="texts">Tokens; those of one or none are left out.</param>
    /// <param name="report">Told how many texts are done.</param>
    /// <exception cref="ArgumentException">No text has two tokens, or the vocabularies differ.</exception>
    /// <exception cref="GgmlException">A file is no model that llama.cpp can load.</exception>
    public static QualityReport Compare(
        string source, string quantized, IReadOnlyList<int[]> texts, int threads, Action<int>? report = null, CancellationToken cancellationToken = default)
    {
        if (!texts.Any(text => text.Length > 1)) throw new ArgumentException("a comparison needs a text of two tokens or more", nameof(texts));
        using var sourceModel = LlamaModel.Load(source);
        using var quantizedModel = LlamaModel.Load(quantized);
        if (sourceModel.VocabularySize != quantizedModel.VocabularySize)
            throw new ArgumentException($"{quantized} has {quantizedModel.VocabularySize} tokens, {source} {sourceModel.VocabularySize}.", nameof(quantized));
        var options = new LlamaEvaluatorOptions { ContextSize = Math.Min(MaxTokens, sourceModel.ContextLength), Threads = threads, ChunkTokens = ChunkTokens };
        using var expected = new LlamaEvaluator(sourceModel, options);
        using var actual = new LlamaEvaluator(quantizedModel, options);
        var sums = new Sums(sourceModel.VocabularySize);
        foreach (var (index, text) in texts.Index())
        {
            CompareText(text.AsSpan(0, Math.Min(text.Length, options.ContextSize.Value)), expected, actual, sums, cancellationToken);
            report?.Invoke(index + 1);
        }
        return sums.Report();
    }

    private static void CompareText(ReadOnlySpan<int> tokens, LlamaEvaluator expected, LlamaEvaluator actual, Sums sums, CancellationToken cancellationToken)
    {
        if (tokens.Length < 2) return;
        expected.Restart();
        actual.Restart();
        for (var start = 0; start < tokens.Length; start += ChunkTokens)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var chunk = tokens.Slice(start, Math.Min(ChunkTokens, tokens.Length - start));
            expected.Continue(chunk);
            actual.Continue(chunk);
            for (var i = 0; i < chunk.Length; i++)
                sums.Add(expected.LogitsAt(i), actual.LogitsAt(i), start + i + 1 < tokens.Length ? tokens[start + i + 1] : null);
        }
        sums.Texts++;
    }

    private sealed class Sums(int vocabulary)
    {
        private readonly double[] p = new double[vocabulary];
        private readonly double[] q = new double[vocabulary];
        private readonly List<double> divergences = [];
        private double sourceLoss;
        private double loss;
        private long predicted;
        private long agreements;

        public int Texts { get; set; }

        public void Add(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, int? next)
        {
            if (Distribution.LogSoftmax(expected, p) == Distribution.LogSoftmax(actual, q)) agreements++;
            divergences.Add(Distribution.KlDivergence(p, q));
            if (next is not { } token) return;
            sourceLoss -= p[token];
            loss -= q[token];
            predicted++;
        }

        public QualityReport Report()
        {
            divergences.Sort();
            return new(
                Texts,
                divergences.Count,
                Math.Exp(sourceLoss / predicted),
                Math.Exp(loss / predicted),
                divergences.Average(),
                divergences[(int)Math.Ceiling(0.99 * divergences.Count) - 1],
                divergences[^1],
                (double)agreements / divergences.Count);
        }
    }
}
