using System.Runtime.InteropServices;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

public sealed record LlamaEvaluatorOptions
{
    /// <summary>Tokens that one evaluation may have.</summary>
    /// <value>The default is null: what the model was trained for.</value>
    public int? ContextSize { get; init; }

    /// <value>The default is all processors but one, at least one.</value>
    public int Threads { get; init; } = EngineOptions.DefaultThreads;

    /// <summary>A LoRA adapter of the model, a GGUF file.</summary>
    /// <value>The default is none.</value>
    public string? Adapter { get; init; }

    internal IReadOnlyList<string> Errors(int trainedContext)
    {
        var errors = new List<string>();
        if (ContextSize < 1 || ContextSize > trainedContext)
            errors.Add($"{nameof(ContextSize)} is {ContextSize}: the model was trained for 1 to {trainedContext} tokens");
        if (Threads < 1) errors.Add($"{nameof(Threads)} is {Threads}: at least 1 computes");
        return errors;
    }
}

/// <summary>
/// The logits of every position of a text, for parity checks and perplexity. Keys and values are kept in F32 and attention is
/// computed in F32, where serving uses F16 for both: the difference to a reference is then that of the weights. For one thread at a time.
/// </summary>
public sealed class LlamaEvaluator : IDisposable
{
    private const int ChunkTokens = 512;

    private readonly LlamaContext context;
    private readonly LlamaVocabulary vocabulary;
    private readonly int contextSize;
    private readonly AdapterHandle? adapter;

    /// <exception cref="ArgumentException">Options make no sense for this model; the message has all of them.</exception>
    /// <exception cref="InvalidOperationException">The model has no weights loaded, or does not continue texts.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make a context of that size, or the adapter is not the model's.</exception>
    public LlamaEvaluator(LlamaModel model, LlamaEvaluatorOptions? options = null)
    {
        options ??= new LlamaEvaluatorOptions();
        contextSize = options.ContextSize ?? model.ContextLength;
        _ = model.Weights; // a model without any is what is wrong, not its options
        var errors = options.Errors(model.ContextLength);
        if (errors.Count > 0) throw new ArgumentException(string.Join("; ", errors), nameof(options));
        var chunk = Math.Min(ChunkTokens, contextSize);
        context = new LlamaContext(model, new ContextShape(contextSize, 1, chunk, chunk, options.Threads, GgmlType.F32, FlashAttention: false));
        vocabulary = model.Vocabulary;
        if (options.Adapter is null) return;
        try
        {
            AdapterFile.Check(options.Adapter, model);
            adapter = context.LoadAdapter(options.Adapter);
            context.SetAdapter(adapter);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <returns>(tokens, vocabulary): row i scores what follows the tokens 0 to i.</returns>
    /// <exception cref="ArgumentException">No tokens, a token that the vocabulary lacks, or more than the context holds.</exception>
    public float[,] Logits(ReadOnlySpan<int> tokens)
    {
        if (tokens.Length == 0 || tokens.Length > contextSize)
            throw new ArgumentException($"{tokens.Length} tokens: an evaluation has 1 to {contextSize}.", nameof(tokens));
        vocabulary.Check(tokens);

        var logits = new float[tokens.Length, vocabulary.Size];
        var rows = MemoryMarshal.CreateSpan(ref logits[0, 0], logits.Length);
        context.Clear();
        for (var start = 0; start < tokens.Length; start += context.Batch.Capacity)
        {
            var count = Math.Min(context.Batch.Capacity, tokens.Length - start);
            for (var i = 0; i < count; i++) context.Batch.Add(tokens[start + i], start + i, sequence: 0, output: true);
            context.Decode();
            for (var i = 0; i < count; i++) context.Logits(i).CopyTo(rows[((start + i) * vocabulary.Size)..]);
        }
        return logits;
    }

    public void Dispose()
    {
        context.Dispose();
        adapter?.Dispose();
    }
}
