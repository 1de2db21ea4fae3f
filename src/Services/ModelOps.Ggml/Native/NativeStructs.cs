using System.Runtime.InteropServices;

namespace ModelOps.Ggml.Native;

// The layouts of the pinned build (NativeBuild). Names and order are llama.h's and gguf.h's. Values always start from the library's own
// defaults: a field that we don't set keeps what the library wants.

/// <summary>llama_model_params, 80 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ModelParams
{
    public nint Devices;
    public nint TensorBufferOverrides;
    public int GpuLayers;
    public int SplitMode;
    public int LoadMode;
    public int LazyMode;
    public int MainGpu;
    public nint TensorSplit;
    public nint ProgressCallback;
    public nint ProgressCallbackData;
    public nint KeyValueOverrides;
    public byte VocabularyOnly;
    public byte CheckTensors;
    public byte UseExtraBufferTypes;
    public byte NoHost;
    public byte NoAllocation;
    public byte LoadMultiTokenPrediction;
}

/// <summary>llama_context_params, 160 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ContextParams
{
    public uint ContextSize;
    public uint BatchSize;
    public uint PhysicalBatchSize;
    public uint MaxSequences;
    public uint RecurrentSnapshots;
    public uint MaxOutputs;
    public uint MaxOutputsPerSequence;
    public int Threads;
    public int BatchThreads;
    public int ContextType;
    public int RopeScalingType;
    public int PoolingType;
    public int AttentionType;
    public int FlashAttention;
    public float RopeFrequencyBase;
    public float RopeFrequencyScale;
    public float YarnExtrapolation;
    public float YarnAttention;
    public float YarnBetaFast;
    public float YarnBetaSlow;
    public uint YarnOriginalContext;
    public float DefragmentationThreshold;
    public nint EvaluationCallback;
    public nint EvaluationCallbackData;
    public int KeyType;
    public int ValueType;
    public nint AbortCallback;
    public nint AbortCallbackData;
    public byte Embeddings;
    public byte OffloadKeyValues;
    public byte NoPerformance;
    public byte OffloadOperations;
    public byte FullSlidingWindow;
    public byte UnifiedCache;
    public nint Samplers;
    public nuint SamplerCount;
    public nint OtherContext;
}

/// <summary>llama_model_quantize_params, 64 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct QuantizeParams
{
    public int Threads;
    public int FileType;
    public int OutputTensorType;
    public int TokenEmbeddingType;
    public byte AllowRequantize;
    public byte QuantizeOutputTensor;
    public byte OnlyCopy;
    public byte Pure;
    public byte KeepSplit;
    public byte DryRun;
    public nint ImportanceMatrix;
    public nint KeyValueOverrides;
    public nint TensorTypes;
    public nint PrunedLayers;
    public nuint MaxBufferSize;
}

/// <summary>ggml_threadpool_params, 528 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ThreadPoolParams
{
    public fixed byte Cpus[512];
    public int Threads;
    public int Priority;
    public uint Polling;
    public byte StrictCpus;
    public byte Paused;
}

/// <summary>llama_batch, 56 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Batch
{
    public int TokenCount;
    public int* Tokens;
    public float* Embeddings;
    public int* Positions;
    public int* SequenceCounts;
    public int** Sequences;
    public sbyte* Outputs;
}

/// <summary>llama_sampler_chain_params, 1 byte.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SamplerChainParams
{
    public byte NoPerformance;
}

/// <summary>llama_token_data, 12 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TokenData
{
    public int Token;
    public float Logit;
    public float Probability;
}

/// <summary>llama_token_data_array, 32 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TokenDataArray
{
    public TokenData* Data;
    public nuint Count;
    public long Selected;
    public byte Sorted;
}

/// <summary>gguf_init_params, 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GgufParams
{
    public byte NoAllocation;
    public nint Context;
}

/// <summary>Values of gguf_type that are named in code.</summary>
internal static class GgufType
{
    public const int UInt32 = 4;
    public const int Int32 = 5;
    public const int Float32 = 6;
    public const int String = 8;
    public const int Array = 9;
}

/// <summary>Values of llama_pooling_type.</summary>
internal enum Pooling
{
    None = 0,
    Mean = 1,
    Class = 2,
    Last = 3,
    Rank = 4,
}

/// <summary>Values of ggml_type that are named in code.</summary>
internal static class GgmlType
{
    public const int F32 = 0;
    public const int F16 = 1;
}

/// <summary>llama_model_imatrix_data, 24 bytes; a list of them ends with one without a name.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ImportanceData
{
    public nint Name;
    public nint Values;
    public nuint Count;
}

/// <summary>ggml_init_params, 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GgmlInit
{
    public nuint MemorySize;
    public nint Memory;
    public byte NoAllocation;
}

/// <summary>ggml_tensor, 336 bytes; <see cref="TensorLayout"/> checks the offsets.</summary>
[StructLayout(LayoutKind.Explicit, Size = 336)]
internal unsafe struct Tensor
{
    [FieldOffset(0)]
    public int Type;

    /// <summary>Elements, the row length first.</summary>
    [FieldOffset(16)]
    public fixed long Shape[4];

    /// <summary>Bytes from one element, row, … to the next.</summary>
    [FieldOffset(48)]
    public fixed long Strides[4];

    [FieldOffset(80)]
    public int Operation;

    [FieldOffset(152)]
    public Tensor* Source0;

    [FieldOffset(160)]
    public Tensor* Source1;

    [FieldOffset(248)]
    public nint Data;

    [FieldOffset(256)]
    public fixed byte Name[64];
}
