using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;

namespace ModelOps.Quantization;

/// <param name="MaxLogitDifference">Largest absolute difference of a logit, trainer against the unquantized GGUF.</param>
/// <param name="TopOneAgreement">Share of positions at which trainer and quantized GGUF choose the same token.</param>
/// <param name="KlDivergence">Mean Kullback–Leibler divergence of the quantized GGUF from the trainer, nats per token.</param>
public sealed record ParityResult(int Prompts, int Tokens, double MaxLogitDifference, double TopOneAgreement, double KlDivergence)
{
    /// <summary>Both sides compute in fp32; what is left is the order of additions, which grows with depth and width.</summary>
    public const double Tolerance = 1e-3;
}

/// <summary>The same texts through the trainer's forward and through llama.cpp: template, tokenizer, weights and arithmetic must agree.</summary>
public static class ParityCheck
{
    /// <summary>A longer text is compared in its first tokens.</summary>
    public const int MaxTokens = 128;

    /// <param name="source">The model as the trainer reads it.</param>
    /// <param name="exported">The same model as an unquantized GGUF file.</param>
    /// <param name="quantized">And as the quantized one.</param>
    /// <exception cref="ParityException">Template, tokens or logits differ; the message names which, where and by how much.</exception>
    public static ParityResult Compare(
        ModelFolder source, string exported, string quantized, IReadOnlyList<string> texts, int threads, CancellationToken cancellationToken)
    {
        if (texts.Count == 0) throw new ArgumentException("a comparison needs at least one text", nameof(texts));
        using var exportedModel = LlamaModel.Load(exported);
        if (source.ChatTemplate is { } template && template != exportedModel.ChatTemplate)
            throw new ParityException("the chat template in the GGUF file is not the model's own");
        var prompts = Tokenize(source, exportedModel, texts);

        using var trainer = CausalLanguageModel.Load(source);
        using var engine = new LlamaEvaluator(exportedModel, Options(exportedModel, threads));
        using var quantizedModel = LlamaModel.Load(quantized);
        using var quantizedEngine = new LlamaEvaluator(quantizedModel, Options(quantizedModel, threads));
        var (largest, agreements, divergence) = (0.0, 0, 0.0);
        foreach (var tokens in prompts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var expected = trainer.Logits(tokens);
            largest = Math.Max(largest, LargestDifference(expected, engine.Logits(tokens)));
            var (same, nats) = Divergence(expected, quantizedEngine.Logits(tokens));
            agreements += same;
            divergence += nats;
        }
        var count = prompts.Sum(tokens => tokens.Length);
        return largest <= ParityResult.Tolerance
            ? new(prompts.Count, count, largest, (double)agreements / count, divergence / count)
            : throw new ParityException(
                $"the exported model is not the trained one: over {count} tokens a logit differs by {largest:G3}, allowed is {ParityResult.Tolerance}");
    }

    private static LlamaEvaluatorOptions Options(LlamaModel model, int threads) =>
        new() { ContextSize = Math.Min(MaxTokens, model.ContextLength), Threads = threads };

    private static List<int[]> Tokenize(ModelFolder source, LlamaModel exported, IReadOnlyList<string> texts)
    {
        var tokenizer = HuggingFaceTokenizer.Load(source.Path);
        var prompts = new List<int[]>();
        foreach (var text in texts)
        {
            var expected = tokenizer.Encode(text);
            var actual = exported.Tokenize(text, addSpecial: false, parseSpecial: true);
            if (!expected.AsSpan().SequenceEqual(actual))
            {
                var at = expected.AsSpan().CommonPrefixLength(actual);
                throw new ParityException(
                    $"the tokenizers differ at token {at}: the model's own has {At(expected, at)}, the GGUF file's {At(actual, at)}, in '{Shorten(text)}'");
            }
            if (expected.Length > 0) prompts.Add(expected[..Math.Min(expected.Length, Math.Min(MaxTokens, exported.ContextLength))]);
        }
        return prompts;
    }

    private static double LargestDifference(float[,] expected, float[,] actual)
    {
        var largest = 0.0;
        for (var t = 0; t < expected.GetLength(0); t++)
            for (var v = 0; v < expected.GetLength(1); v++)
            {
                var difference = Math.Abs((double)expected[t, v] - actual[t, v]);
                if (!(difference <= largest)) largest = difference; // a NaN stays the largest
                if (double.IsNaN(largest)) return double.PositiveInfinity;
            }
        return largest;
    }

    /// <summary>Positions with the same first choice, and the sum over positions of KL(expected ‖ actual) in nats.</summary>
    private static (int SameChoice, double Nats) Divergence(float[,] expected, float[,] actual)
    {
        var vocabulary = expected.GetLength(1);
        var (same, nats) = (0, 0.0);
        var (p, q) = (new double[vocabulary], new double[vocabulary]);
        for (var t = 0; t < expected.GetLength(0); t++)
        {
            if (LogSoftmax(expected, t, p) == LogSoftmax(actual, t, q)) same++;
            for (var v = 0; v < vocabulary; v++) nats += Math.Exp(p[v]) * (p[v] - q[v]);
        }
        return (same, nats);
    }

    /// <returns>The most likely token.</returns>
    private static int LogSoftmax(float[,] logits, int t, double[] logProbabilities)
    {
        var best = 0;
        for (var v = 1; v < logProbabilities.Length; v++)
            if (logits[t, v] > logits[t, best]) best = v;
        var sum = 0.0;
        for (var v = 0; v < logProbabilities.Length; v++) sum += Math.Exp(logits[t, v] - logits[t, best]);
        var normalizer = logits[t, best] + Math.Log(sum);
        for (var v = 0; v < logProbabilities.Length; v++) logProbabilities[v] = logits[t, v] - normalizer;
        return best;
    }

    private static string At(int[] tokens, int index) => index < tokens.Length ? $"{tokens[index]}" : "none";

    private static string Shorten(string text) => text.Length <= 60 ? text : text[..60] + "…";
}

/// <summary>The exported model does not compute what the trained one does.</summary>
public sealed class ParityException(string message) : Exception(message);
