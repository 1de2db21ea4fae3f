using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelOps.Ggml.Native;

/// <param name="TokensPerSequence">Room for each sequence.</param>
/// <param name="BatchTokens">The most tokens of one decoding step.</param>
/// <param name="Outputs">The most positions of one step whose logits are read.</param>
/// <param name="CacheType">ggml_type of keys and values.</param>
/// <param name="FlashAttention">See <see cref="EngineOptions.FlashAttention"/>.</param>
/// <param name="Pooling">None gives logits, all others embeddings, for which the sequences share the room of one.</param>
internal sealed record ContextShape(
    int TokensPerSequence, int Sequences, int BatchTokens, int Outputs, int Threads, int CacheType, bool FlashAttention, Pooling Pooling = Pooling.None)
{
    /// <summary>ggml_backend_sched_eval_callback and its data: sees tensors as they are computed.</summary>
    public (nint Function, nint Data) Observer { get; init; }
}

/// <summary>A llama_context: a model's state for some sequences. For one thread at a time.</summary>
internal sealed unsafe partial class LlamaContext : IDisposable
{
    private const int FlashAttentionOff = 0; // LLAMA_FLASH_ATTN_TYPE_DISABLED; the default is auto

    private readonly ContextHandle handle;
    private readonly nint memory;
    private readonly TokenBatch batch;
    private readonly nint model;
    private readonly nint vocabulary;
    private readonly int vocabularySize;
    private AdapterHandle? current;

    /// <exception cref="GgmlException">llama.cpp refuses, for example for lack of memory; the message has its reason.</exception>
    public LlamaContext(LlamaModel model, ContextShape shape)
    {
        var weights = model.Weights;
        var parameters = NativeLlama.ContextDefaults();
        var pooled = shape.Pooling != Pooling.None;
        parameters.ContextSize = checked((uint)shape.TokensPerSequence * (pooled ? 1 : (uint)shape.Sequences));
        parameters.BatchSize = parameters.PhysicalBatchSize = (uint)shape.BatchTokens;
        parameters.MaxSequences = (uint)shape.Sequences;
        parameters.MaxOutputs = (uint)shape.Outputs;
        parameters.Threads = parameters.BatchThreads = shape.Threads;
        parameters.KeyType = parameters.ValueType = shape.CacheType;
        if (!shape.FlashAttention) parameters.FlashAttention = FlashAttentionOff;
        // A stream of its own for each sequence: its attention then sees the same cells whoever else is in the batch.
        parameters.UnifiedCache = Convert.ToByte(pooled);
        parameters.PoolingType = (int)shape.Pooling;
        parameters.Embeddings = Convert.ToByte(pooled);
        (parameters.EvaluationCallback, parameters.EvaluationCallbackData) = shape.Observer;

        var context = NativeLog.Capture(() => NativeLlama.CreateContext(weights, parameters), out var problems, out var buffers);
        if (context == 0)
            throw new GgmlException($"llama.cpp cannot make a context for {model.Path} ({shape}): {NativeLog.Reason(problems)}");
        handle = new ContextHandle(context, weights, shape.Threads);
        memory = NativeLlama.Memory(handle);
        batch = new TokenBatch(shape.BatchTokens);
        this.model = weights.DangerousGetHandle(); // alive as long as the context
        vocabulary = NativeLlama.Vocabulary(weights);
        vocabularySize = model.VocabularySize;
        Memory = BufferSizes(buffers);
        if (NativeLlama.ContextPerSequence(handle) >= shape.TokensPerSequence) return;
        handle.Dispose();
        throw new GgmlException($"llama.cpp gives {model.Path} less room than {shape.TokensPerSequence} tokens per sequence.");
    }

    public TokenBatch Batch => batch;

    /// <summary>Bytes of its caches and buffers.</summary>
    public long Memory { get; }

    /// <summary>Computes the batch and empties it.</summary>
    /// <exception cref="GgmlException">llama.cpp failed.</exception>
    public void Decode()
    {
        var tokens = batch.Count;
        var result = NativeLog.Capture(() => batch.Decode(handle), out var problems);
        batch.Clear();
        if (result != 0)
            throw new GgmlException($"llama.cpp failed to decode {tokens} tokens (result {result}): {NativeLog.Reason(problems)}");
    }

    /// <param name="index">The token's index in the batch that was decoded last.</param>
    public ReadOnlySpan<float> Logits(int index)
    {
        var logits = NativeLlama.Logits(handle, index);
        return logits is not null
            ? new ReadOnlySpan<float>(logits, vocabularySize)
            : throw new GgmlException($"llama.cpp has no logits for token {index} of the batch: the model generates no text.");
    }

    /// <summary>The pooled embedding of a sequence of the batch that was decoded last.</summary>
    public ReadOnlySpan<float> Embedding(int sequence, int width)
    {
        var embedding = NativeLlama.SequenceEmbedding(handle, sequence);
        return embedding is not null
            ? new ReadOnlySpan<float>(embedding, width)
            : throw new GgmlException($"llama.cpp has no embedding for sequence {sequence}.");
    }

    /// <summary>Loads a LoRA adapter, which <see cref="AdapterFile"/> has checked. Not while a batch is decoded.</summary>
    /// <exception cref="GgmlException">llama.cpp refuses; the message has its reason.</exception>
    public AdapterHandle LoadAdapter(string path)
    {
        // It warns for every tensor whose weights are repacked that the adapter's own are not.
        var adapter = NativeLog.CaptureQuietly(() => NativeLlama.LoadAdapter(model, path), out var problems);
        return adapter != 0
            ? new AdapterHandle(adapter, handle)
            : throw new GgmlException($"llama.cpp cannot load the adapter {path}: {NativeLog.Reason(problems)}");
    }

    /// <summary>Makes a sampler of GBNF, whose first rule is root. Thread-safe.</summary>
    /// <exception cref="ArgumentException">The grammar is wrong; the message has llama.cpp's reason.</exception>
    /// <exception cref="ObjectDisposedException">The context is gone.</exception>
    public SamplerHandle ParseGrammar(string grammar)
    {
        GrammarText.Check(grammar);
        return WhileAlive(() =>
        {
            var sampler = NativeLog.Capture(() => NativeLlama.GrammarSampler(vocabulary, grammar, "root"), out var problems);
            return sampler != 0
                ? new SamplerHandle(sampler, handle)
                : throw new ArgumentException($"The grammar is wrong: {NativeLog.Reason(problems)}.", nameof(grammar));
        });
    }

    /// <summary>For calls on other threads that need the model's vocabulary.</summary>
    /// <exception cref="ObjectDisposedException">The context is gone.</exception>
    public T WhileAlive<T>(Func<T> call)
    {
        var held = false;
        handle.DangerousAddRef(ref held);
        try
        {
            return call();
        }
        finally
        {
            handle.DangerousRelease();
        }
    }

    /// <summary>What the next batches are decoded with; null is the model alone.</summary>
    public void SetAdapter(AdapterHandle? adapter)
    {
        if (ReferenceEquals(adapter, current)) return;
        var pointer = adapter?.DangerousGetHandle() ?? 0;
        var scale = 1f;
        var result = NativeLlama.SetAdapters(handle, &pointer, adapter is null ? 0u : 1u, &scale);
        current = result == 0 ? adapter : throw new GgmlException($"llama.cpp failed to switch the adapter (result {result}).");
    }

    /// <summary>Forgets what a sequence has after its first tokens.</summary>
    /// <returns>False if the model's cache cannot forget a part: then all of the sequence is gone.</returns>
    public bool Truncate(int sequence, int length)
    {
        if (length > 0 && NativeLlama.RemoveSequence(memory, sequence, length, -1)) return true;
        NativeLlama.RemoveSequence(memory, sequence, -1, -1);
        return length == 0;
    }

    /// <summary>Makes a sequence the same as another, by a copy of all its cells.</summary>
    public void CopySequence(int source, int target)
    {
        NativeLlama.RemoveSequence(memory, target, -1, -1);
        NativeLlama.CopySequence(memory, source, target, -1, -1);
    }

    public void Clear()
    {
        batch.Clear();
        NativeLlama.ClearMemory(memory, data: false);
    }

    public void Dispose() => handle.Dispose();

    // There is no call that tells; the log does, for each of the buffers.
    private static long BufferSizes(IReadOnlyList<string> lines) => lines
        .Select(line => BufferLine().Match(line))
        .Where(match => match.Success)
        .Sum(match => (long)(double.Parse(match.Groups["size"].ValueSpan, CultureInfo.InvariantCulture) * (1 << 20)));

    [GeneratedRegex(
        @"(KV|RS|output|compute) +buffer size = +(?<size>[0-9.]+) MiB",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex BufferLine();
}
