using System.Runtime.InteropServices;

namespace ModelOps.ModelFiles;

/// <summary>Little-endian F32, F16 and BF16 to and from <see cref="float"/>. Narrowing rounds to nearest, ties to even.</summary>
public static class FloatBytes
{
    public static bool Supports(Dtype dtype) => dtype is Dtype.F32 or Dtype.F16 or Dtype.BF16;

    /// <param name="bytes">As many elements as <paramref name="values"/> has.</param>
    public static void Decode(Dtype dtype, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        ThrowUnlessMatching(dtype, bytes.Length, values.Length);
        switch (dtype)
        {
            case Dtype.F32:
                bytes.CopyTo(MemoryMarshal.AsBytes(values));
                break;
            case Dtype.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(bytes);
                for (var i = 0; i < values.Length; i++) values[i] = (float)halves[i];
                break;
            default:
                var words = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (var i = 0; i < values.Length; i++) values[i] = BitConverter.UInt32BitsToSingle((uint)words[i] << 16);
                break;
        }
    }

    /// <param name="bytes">Room for exactly the elements of <paramref name="values"/>.</param>
    public static void Encode(Dtype dtype, ReadOnlySpan<float> values, Span<byte> bytes)
    {
        ThrowUnlessMatching(dtype, bytes.Length, values.Length);
        switch (dtype)
        {
            case Dtype.F32:
                MemoryMarshal.AsBytes(values).CopyTo(bytes);
                break;
            case Dtype.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(bytes);
                for (var i = 0; i < values.Length; i++) halves[i] = (Half)values[i];
                break;
            default:
                var words = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (var i = 0; i < values.Length; i++) words[i] = ToBFloat16(values[i]);
                break;
        }
    }

    private static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x40); // rounding a NaN's payload up could make an infinity
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static void ThrowUnlessMatching(Dtype dtype, int byteCount, int valueCount)
    {
        if (!Supports(dtype))
            throw new NotSupportedException($"{dtype.Name()} is not a float type that ModelOps converts; F32, F16 and BF16 are.");
        if (byteCount != (long)valueCount * dtype.Size())
            throw new ArgumentException(
                $"{valueCount} {dtype.Name()} elements take {(long)valueCount * dtype.Size()} bytes, not {byteCount}.", nameof(byteCount));
        if (!BitConverter.IsLittleEndian) throw new PlatformNotSupportedException("Model files are read on little-endian machines only.");
    }
}
