namespace ModelOps.Ggml.Native;

/// <param name="TokensPerSequence">Room for each sequence.</param>
/// <param name="BatchTokens">The most tokens of one decoding step.</param>
/// <param name="Outputs">The most positions of one step whose logits are read.</param>
/// <param name="CacheType">ggml_type of keys and values.</param>
/// <param name="FlashAttention">Faster, but it rounds to F16 inside.</param>
internal sealed record ContextShape(int TokensPerSequence, int Sequences, int BatchTokens, int Outputs, int Threads, int CacheType, bool FlashAttention);

/// <summary>A llama_context: a model's state for some sequences. For one thread at a time.</summary>
internal sealed unsafe class LlamaContext : IDisposable
{
    private const int FlashAttentionOff = 0; // LLAMA_FLASH_ATTN_TYPE_DISABLED; the default is auto

    private readonly ContextHandle handle;
    private readonly nint memory;
    private readonly TokenBatch batch;
    private readonly int vocabularySize;

    /// <exception cref="GgmlException">llama.cpp refuses, for example for lack of memory; the message has its reason.</exception>
    public LlamaContext(LlamaModel model, ContextShape shape)
    {
        var weights = model.Weights;
        var parameters = NativeLlama.ContextDefaults();
        parameters.ContextSize = checked((uint)shape.TokensPerSequence * (uint)shape.Sequences);
        parameters.BatchSize = parameters.PhysicalBatchSize = (uint)shape.BatchTokens;
        parameters.MaxSequences = (uint)shape.Sequences;
        parameters.MaxOutputs = (uint)shape.Outputs;
        parameters.Threads = parameters.BatchThreads = shape.Threads;
        parameters.KeyType = parameters.ValueType = shape.CacheType;
        if (!shape.FlashAttention) parameters.FlashAttention = FlashAttentionOff;
        // A stream of its own for each sequence: its attention then sees the same cells whoever else is in the batch.
        parameters.UnifiedCache = 0;

        var context = NativeLog.Capture(() => NativeLlama.CreateContext(weights, parameters), out var problems);
        if (context == 0)
            throw new GgmlException($"llama.cpp cannot make a context for {model.Path} ({shape}): {NativeLog.Reason(problems)}");
        handle = new ContextHandle(context, weights);
        memory = NativeLlama.Memory(handle);
        batch = new TokenBatch(shape.BatchTokens);
        vocabularySize = model.VocabularySize;
        if (NativeLlama.ContextPerSequence(handle) >= shape.TokensPerSequence) return;
        handle.Dispose();
        throw new GgmlException($"llama.cpp gives {model.Path} less room than {shape.TokensPerSequence} tokens per sequence.");
    }

    public TokenBatch Batch => batch;

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

    public int Sample(SamplerHandle sampler, int index)
    {
        Logits(index); // the native sampler reads them without asking whether they are there
        return NativeLlama.Sample(sampler, handle, index);
    }

    /// <summary>Applies a LoRA adapter, a GGUF file, from now on.</summary>
    /// <exception cref="GgmlException">It is no adapter of this model; the message has llama.cpp's reason.</exception>
    public void Apply(LlamaModel model, string adapterPath)
    {
        var adapter = NativeLog.Capture(() => NativeLlama.LoadAdapter(model.Weights, adapterPath), out var problems);
        if (adapter == 0) throw new GgmlException($"llama.cpp cannot load the adapter {adapterPath}: {NativeLog.Reason(problems)}");
        var scale = 1f;
        if (NativeLlama.SetAdapters(handle, &adapter, 1, &scale) != 0)
            throw new GgmlException($"llama.cpp cannot apply the adapter {adapterPath} to {model.Path}.");
    }

    public void RemoveSequence(int sequence) => NativeLlama.RemoveSequence(memory, sequence, -1, -1);

    public void Clear()
    {
        batch.Clear();
        NativeLlama.ClearMemory(memory, data: false);
    }

    public void Dispose() => handle.Dispose();
}
