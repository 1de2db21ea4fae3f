using System.Collections.Frozen;

namespace ModelOps.ModelFiles.Gguf;

#pragma warning disable CA1707 // ggml's own names, which users know from file names and reports
/// <summary>Tensor types of ggml that a GGUF file can hold; the values are the file format's.</summary>
public enum GgmlType
{
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q8_1 = 9,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    Q8_K = 15,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
}
#pragma warning restore CA1707

public static class GgmlTypeExtensions
{
    private static readonly FrozenDictionary<GgmlType, (int Elements, int Bytes)> Blocks = new Dictionary<GgmlType, (int, int)>
    {
        [GgmlType.F32] = (1, 4),
        [GgmlType.F16] = (1, 2),
        [GgmlType.Q4_0] = (32, 18),
        [GgmlType.Q4_1] = (32, 20),
        [GgmlType.Q5_0] = (32, 22),
        [GgmlType.Q5_1] = (32, 24),
        [GgmlType.Q8_0] = (32, 34),
        [GgmlType.Q8_1] = (32, 36),
        [GgmlType.Q2_K] = (256, 84),
        [GgmlType.Q3_K] = (256, 110),
        [GgmlType.Q4_K] = (256, 144),
        [GgmlType.Q5_K] = (256, 176),
        [GgmlType.Q6_K] = (256, 210),
        [GgmlType.Q8_K] = (256, 292),
        [GgmlType.IQ2_XXS] = (256, 66),
        [GgmlType.IQ2_XS] = (256, 74),
        [GgmlType.IQ3_XXS] = (256, 98),
        [GgmlType.IQ1_S] = (256, 50),
        [GgmlType.IQ4_NL] = (32, 18),
        [GgmlType.IQ3_S] = (256, 110),
        [GgmlType.IQ2_S] = (256, 82),
        [GgmlType.IQ4_XS] = (256, 136),
        [GgmlType.I8] = (1, 1),
        [GgmlType.I16] = (1, 2),
        [GgmlType.I32] = (1, 4),
        [GgmlType.I64] = (1, 8),
        [GgmlType.F64] = (1, 8),
        [GgmlType.IQ1_M] = (256, 56),
        [GgmlType.BF16] = (1, 2),
        [GgmlType.TQ1_0] = (256, 54),
        [GgmlType.TQ2_0] = (256, 66),
        [GgmlType.MXFP4] = (32, 17),
    }.ToFrozenDictionary();

    public static bool IsKnown(this GgmlType type) => Blocks.ContainsKey(type);

    /// <summary>Elements that are stored together; rows are whole blocks.</summary>
    public static int BlockElements(this GgmlType type) => Blocks[type].Elements;

    /// <summary>Bytes of a block.</summary>
    public static int BlockBytes(this GgmlType type) => Blocks[type].Bytes;

    /// <summary>Bytes of a tensor; false where rows are not whole blocks or the size overflows.</summary>
    /// <param name="dimensions">Innermost first.</param>
    internal static bool TryByteCount(this GgmlType type, ReadOnlySpan<long> dimensions, out long count)
    {
        count = 0;
        var (elements, bytes) = Blocks[type];
        if ((dimensions.Length > 0 ? dimensions[0] : 1) % elements != 0) return false;
        UInt128 product = 1;
        foreach (var dimension in dimensions)
        {
            product *= (UInt128)dimension;
            if (product > long.MaxValue) return false; // both factors are below 2^63: no overflow
        }

        product = product / (UInt128)elements * (UInt128)bytes;
        if (product > long.MaxValue) return false;
        count = (long)product;
        return true;
    }
}
