namespace ModelOps.Ggml.Native;

/// <summary>A llama_batch over pinned arrays of ours: nothing to free, and no allocation per step.</summary>
internal sealed unsafe class TokenBatch
{
    private readonly int[] tokens;
    private readonly int[] positions;
    private readonly int[] sequenceCounts;
    private readonly int[] sequenceIds;
    private readonly nint[] sequences;
    private readonly sbyte[] outputs;

    public TokenBatch(int capacity)
    {
        tokens = GC.AllocateArray<int>(capacity, pinned: true);
        positions = GC.AllocateArray<int>(capacity, pinned: true);
        sequenceCounts = GC.AllocateArray<int>(capacity, pinned: true);
        sequenceIds = GC.AllocateArray<int>(capacity, pinned: true);
        sequences = GC.AllocateArray<nint>(capacity, pinned: true);
        outputs = GC.AllocateArray<sbyte>(capacity, pinned: true);
        Array.Fill(sequenceCounts, 1);
        fixed (int* ids = sequenceIds)
            for (var i = 0; i < capacity; i++) sequences[i] = (nint)(ids + i);
    }

    public int Count { get; private set; }

    public int Capacity => tokens.Length;

    public void Clear() => Count = 0;

    /// <returns>The token's index in the batch, under which its logits are read.</returns>
    public int Add(int token, int position, int sequence, bool output)
    {
        tokens[Count] = token;
        positions[Count] = position;
        sequenceIds[Count] = sequence;
        outputs[Count] = (sbyte)(output ? 1 : 0);
        return Count++;
    }

    /// <returns>llama_decode's: 0 is done, 1 is no room in the cache, below 0 a failure.</returns>
    public int Decode(ContextHandle context)
    {
        fixed (int* tokenStart = tokens, positionStart = positions, countStart = sequenceCounts)
        fixed (nint* sequenceStart = sequences)
        fixed (sbyte* outputStart = outputs)
            return NativeLlama.Decode(context, new Batch
            {
                TokenCount = Count,
                Tokens = tokenStart,
                Positions = positionStart,
                SequenceCounts = countStart,
                Sequences = (int**)sequenceStart,
                Outputs = outputStart,
            });
    }
}
