using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelOps.Models.Weights;

/// <summary>
/// NF4 with double quantization (Dettmers et al. 2023): blocks of 64 weights, each a step of a scale that is optimal for normal values, over the
/// block's largest magnitude; the magnitudes of 256 blocks are 8-bit numbers between their least and their greatest.
/// w ≈ code[q] · (least + step · m). 4.13 bits a weight.
/// </summary>
internal static class Nf4
{
    /// <summary>Weights that share a magnitude.</summary>
    public const int Block = 64;

    /// <summary>Magnitudes that share a range.</summary>
    public const int Group = 256;

    private const int PackedBlock = Block / 2;
    private const int LevelsOfMagnitude = byte.MaxValue;

    /// <summary>Appendix E of the paper.</summary>
    public static ReadOnlySpan<float> Code =>
    [
        -1f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1f,
    ];

    /// <param name="weights">A multiple of <see cref="Block"/>.</param>
    /// <param name="codes">Two weights a byte, the first in the low half.</param>
    /// <param name="magnitudes">One a block.</param>
    /// <param name="ranges">Least and step, one pair a group.</param>
    public static void Quantize(ReadOnlySpan<float> weights, Span<byte> codes, Span<byte> magnitudes, Span<float> ranges)
    {
        Span<float> largest = stackalloc float[Group];
        for (var group = 0; group * Group < magnitudes.Length; group++)
        {
            var count = Math.Min(Group, magnitudes.Length - (group * Group));
            for (var i = 0; i < count; i++) largest[i] = LargestMagnitude(weights.Slice(((group * Group) + i) * Block, Block));
            var (least, step) = Range(largest[..count]);
            (ranges[2 * group], ranges[(2 * group) + 1]) = (least, step);
            for (var i = 0; i < count; i++)
            {
                var block = (group * Group) + i;
                magnitudes[block] = step == 0 ? (byte)0 : (byte)Math.Round((largest[i] - least) / step);
                QuantizeBlock(weights.Slice(block * Block, Block), Magnitude(least, step, magnitudes[block]), codes.Slice(block * PackedBlock, PackedBlock));
            }
        }
    }

    /// <param name="from">First block.</param>
    /// <param name="to">Behind the last block.</param>
    public static void Dequantize(
        ReadOnlySpan<byte> codes, ReadOnlySpan<byte> magnitudes, ReadOnlySpan<float> ranges, Span<float> weights, int from, int to)
    {
        if (Avx2.IsSupported) DequantizeVectors(codes, magnitudes, ranges, weights, from, to);
        else DequantizeScalars(codes, magnitudes, ranges, weights, from, to);
    }

    /// <summary>The scalar twin of <see cref="DequantizeVectors"/>: the same to the last bit.</summary>
    internal static void DequantizeScalars(
        ReadOnlySpan<byte> codes, ReadOnlySpan<byte> magnitudes, ReadOnlySpan<float> ranges, Span<float> weights, int from, int to)
    {
        for (var block = from; block < to; block++)
        {
            var magnitude = MagnitudeOf(block, magnitudes, ranges);
            for (var i = 0; i < PackedBlock; i++)
            {
                var packed = codes[(block * PackedBlock) + i];
                weights[(block * Block) + (2 * i)] = Code[packed & 15] * magnitude;
                weights[(block * Block) + (2 * i) + 1] = Code[packed >> 4] * magnitude;
            }
        }
    }

    internal static void DequantizeVectors(
        ReadOnlySpan<byte> codes, ReadOnlySpan<byte> magnitudes, ReadOnlySpan<float> ranges, Span<float> weights, int from, int to)
    {
        var (negative, positive) = (Vector256.Create(Code[..8]), Vector256.Create(Code[8..]));
        var shifts = Vector256.Create(0u, 4, 8, 12, 16, 20, 24, 28);
        var words = MemoryMarshal.Cast<byte, uint>(codes); // 8 weights each
        for (var block = from; block < to; block++)
        {
            var magnitude = Vector256.Create(MagnitudeOf(block, magnitudes, ranges));
            var target = weights.Slice(block * Block, Block);
            for (var i = 0; i < Block / 8; i++)
            {
                // The low three bits of a code choose within a half of the scale, the fourth, shifted to the sign, chooses the half.
                var code = Avx2.ShiftRightLogicalVariable(Vector256.Create(words[(block * (Block / 8)) + i]), shifts).AsInt32();
                var value = Avx.BlendVariable(
                    Avx2.PermuteVar8x32(negative, code), Avx2.PermuteVar8x32(positive, code), Avx2.ShiftLeftLogical(code, 28).AsSingle());
                (value * magnitude).CopyTo(target[(8 * i)..]);
            }
        }
    }

    private static float LargestMagnitude(ReadOnlySpan<float> block)
    {
        var largest = 0f;
        foreach (var weight in block) largest = Math.Max(largest, Math.Abs(weight));
        return largest;
    }

    private static (float Least, float Step) Range(ReadOnlySpan<float> magnitudes)
    {
        var (least, greatest) = (float.MaxValue, 0f);
        foreach (var magnitude in magnitudes) (least, greatest) = (Math.Min(least, magnitude), Math.Max(greatest, magnitude));
        return (least, (greatest - least) / LevelsOfMagnitude);
    }

    private static float Magnitude(float least, float step, byte level) => least + (step * level);

    private static float MagnitudeOf(int block, ReadOnlySpan<byte> magnitudes, ReadOnlySpan<float> ranges) =>
        Magnitude(ranges[2 * (block / Group)], ranges[(2 * (block / Group)) + 1], magnitudes[block]);

    private static void QuantizeBlock(ReadOnlySpan<float> weights, float magnitude, Span<byte> codes)
    {
        var inverse = magnitude == 0 ? 0 : 1 / magnitude;
        for (var i = 0; i < PackedBlock; i++)
            codes[i] = (byte)(Nearest(weights[2 * i] * inverse) | (Nearest(weights[(2 * i) + 1] * inverse) << 4));
    }

    private static int Nearest(float value)
    {
        var (low, high) = (0, Code.Length - 1);
        while (low < high) // the first step whose upper boundary is not below the value
        {
            var middle = (low + high) / 2;
            if (value <= (Code[middle] + Code[middle + 1]) / 2) high = middle;
            else low = middle + 1;
        }
        return low;
    }
}
