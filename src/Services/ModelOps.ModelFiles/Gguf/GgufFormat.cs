namespace ModelOps.ModelFiles.Gguf;

/// <summary>Numbers of the format. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.</summary>
internal static class GgufFormat
{
    public const uint Magic = 0x46554747; // "GGUF"
    public const uint Version = 3;

    /// <summary>Version 2 differs from 3 only in allowing no big-endian files.</summary>
    public const uint OldestReadVersion = 2;

    public const string AlignmentKey = "general.alignment";
    public const uint DefaultAlignment = 32;

    /// <summary>ggml's limits.</summary>
    public const int MaxDimensions = 4;
    public const int MaxTensorNameBytes = 63;
    public const int MaxKeyBytes = 65_535;

    public static long Align(long position, long alignment) => (position + alignment - 1) / alignment * alignment;
}

internal enum GgufValueType : uint
{
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
}
