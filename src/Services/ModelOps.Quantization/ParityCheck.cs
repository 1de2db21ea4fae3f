using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;
using TorchSharp;

namespace ModelOps.Quantization;

/// <param name="MaxLogitDifference">Largest absolute difference of a logit, trainer against the unquantized GGUF.</param>
/// <param name="Tolerance">What it may be.</param>
/// <param name="TokenAgreement">Share of positions at which both choose the same token.</param>
public sealed record ParityResult(int Prompts, int Tokens, double MaxLogitDifference, double Tolerance, double TokenAgreement);

/// <summary>What the trainer computes, and what was made of it.</summary>
/// <param name="Base">As the trainer reads it.</param>
/// <param name="Adapter">On that base; null: the base itself.</param>
/// <param name="Merged">Base and adapter in one; the base itself where there is no adapter.</param>
/// <param name="Exported">The merged model as an unquantized GGUF file.</param>
public sealed record ParitySubject(ModelFolder Base, AdapterFolder? Adapter, ModelFolder Merged, string Exported);

/// <summary>
/// The same texts through the trainer's forward, with the adapter beside its base as in training, and through llama.cpp with the merged and
/// converted model: template, tokenizer, weights and arithmetic must agree. Where they don't, it says which step is at fault.
/// </summary>
public static class ParityCheck
{
    /// <summary>Texts that are compared at most.</summary>
    public const int MaxPrompts = 32;

    /// <summary>A longer text is compared in its first tokens.</summary>
    public const int MaxTokens = 128;

    /// <summary>Both sides compute in fp32; what is left is the order of additions, which grows with depth and width.</summary>
    private const double Tolerance = 1e-3;

    /// <summary>llama.cpp looks GELU up in a table of fp16 values.</summary>
    private const double GeluTolerance = 5e-2;

    /// <param name="threads">CPU threads; the trainer's are set for the whole process.</param>
    /// <exception cref="ParityException">Template, end of text, tokens or logits differ; the message names which, where and by how much.</exception>
    public static ParityResult Compare(ParitySubject subject, IReadOnlyList<string> texts, int threads, CancellationToken cancellationToken)
    {
        if (texts.Count == 0) throw new ArgumentException("a comparison needs at least one text", nameof(texts));
        using var exported = LlamaModel.Load(subject.Exported);
        ThrowUnlessSameTexts(subject.Base, exported);
        var prompts = Tokenize(subject.Base, exported, [.. texts.Take(MaxPrompts)]);

        TorchNatives.Load();
        torch.set_num_threads(threads);
        using var trainer = CausalLanguageModel.Load(subject.Base);
        if (subject.Adapter is { } adapter) trainer.LoadAdapter(adapter);
        using var engine = new LlamaEvaluator(exported, new() { ContextSize = Math.Min(MaxTokens, exported.ContextLength), Threads = threads });
        var found = Compare(trainer, engine, prompts, ToleranceOf(subject.Base), cancellationToken);
        if (found.MaxLogitDifference <= found.Tolerance) return found;
        throw new ParityException(
            $"the exported model is not the trained one: over {found.Tokens} tokens of {found.Prompts} prompts a logit differs by {found.MaxLogitDifference:G3}, allowed is "
            + $"{found.Tolerance}, and the same token is chosen at {found.TokenAgreement:P1} of the positions; {Culprit(subject, trainer, prompts, cancellationToken)}");
    }

    private static double ToleranceOf(ModelFolder model) => model.Config.Family.IsGelu ? GeluTolerance : Tolerance;

    /// <summary>Between the trained and the exported model stand two steps: the merge, which the trainer can compute too, and the conversion.</summary>
    private static string Culprit(ParitySubject subject, CausalLanguageModel trainer, List<int[]> prompts, CancellationToken cancellationToken)
    {
        if (subject.Adapter is null) return "the conversion to GGUF changed it";
        using var merged = CausalLanguageModel.Load(subject.Merged);
        var largest = 0.0;
        foreach (var tokens in prompts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            largest = Larger(largest, LargestDifference(trainer.Logits(tokens), merged.Logits(tokens)));
        }
        return largest > Tolerance
            ? $"merging the adapter changed it (by {largest:G3} in the trainer's own forward)"
            : $"merging the adapter did not change it (by {largest:G3} in the trainer's own forward): the conversion to GGUF did";
    }

    private static ParityResult Compare(
        CausalLanguageModel trainer, LlamaEvaluator engine, List<int[]> prompts, double tolerance, CancellationToken cancellationToken)
    {
        var (largest, agreements) = (0.0, 0);
        foreach (var tokens in prompts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (expected, actual) = (trainer.Logits(tokens), engine.Logits(tokens));
            largest = Larger(largest, LargestDifference(expected, actual));
            for (var t = 0; t < tokens.Length; t++)
                if (Best(expected, t) == Best(actual, t)) agreements++;
        }
        var count = prompts.Sum(tokens => tokens.Length);
        return new(prompts.Count, count, largest, tolerance, (double)agreements / count);
    }

    /// <summary>What decides on texts besides the weights: how a conversation is written, and where an answer ends.</summary>
    private static void ThrowUnlessSameTexts(ModelFolder source, LlamaModel exported)
    {
        if (source.ChatTemplate is { } template && template != exported.ChatTemplate)
            throw new ParityException(exported.ChatTemplate is { } other
                ? $"the chat template in the GGUF file is not the model's own: they differ at character {template.AsSpan().CommonPrefixLength(other)}"
                : "the GGUF file has no chat template, the model has one");
        foreach (var token in source.EosTokenIds.Where(token => token < exported.VocabularySize && !exported.IsEndOfGeneration(token)))
            throw new ParityException($"the model ends an answer with token {token}; the GGUF file does not");
    }

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
        return prompts.Count > 0 ? prompts : throw new ArgumentException("no text has a token", nameof(texts));
    }

    private static double LargestDifference(float[,] expected, float[,] actual)
    {
        var largest = 0.0;
        for (var t = 0; t < expected.GetLength(0); t++)
            for (var v = 0; v < expected.GetLength(1); v++)
                largest = Larger(largest, Math.Abs((double)expected[t, v] - actual[t, v]));
        return largest;
    }

    /// <summary>A NaN is the largest of all.</summary>
    private static double Larger(double largest, double difference) => double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(largest, difference);

    private static int Best(float[,] logits, int t)
    {
        var best = 0;
        for (var v = 1; v < logits.GetLength(1); v++)
            if (logits[t, v] > logits[t, best]) best = v;
        return best;
    }

    private static string At(int[] tokens, int index) => index < tokens.Length ? $"{tokens[index]}" : "none";

    private static string Shorten(string text) => text.Length <= 60 ? text : text[..60] + "…";
}

/// <summary>The exported model does not compute what the trained one does.</summary>
public sealed class ParityException(string message) : Exception(message);
