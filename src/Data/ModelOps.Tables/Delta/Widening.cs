using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>Values of a narrower type as those of a wider one (PROTOCOL.md, "Type Widening"), and times of other units as microseconds.</summary>
internal static class Widening
{
    private const long MicrosecondsPerDay = 86_400_000_000;

    /// <returns>null: the one cannot be made the other without loss.</returns>
    public static ArrayData? Cast(ArrayData data, IArrowType to) => (data.DataType, to) switch
    {
        (FloatType, DoubleType) => Reals(data, Values<float>(data)),
        (Int8Type or Int16Type or Int32Type, DoubleType) => Reals(data, Wholes(data)),
        (Date32Type, TimestampType { Timezone: null }) => Scaled(data, to, MicrosecondsPerDay),
        (TimestampType { Unit: TimeUnit.Second }, TimestampType) => Scaled(data, to, 1_000_000),
        (TimestampType { Unit: TimeUnit.Millisecond }, TimestampType) => Scaled(data, to, 1_000),
        (TimestampType { Unit: TimeUnit.Nanosecond }, TimestampType) => Scaled(data, to, 1, divisor: 1_000),
        (Decimal128Type from, Decimal128Type wider) when wider.Scale >= from.Scale && wider.Precision - wider.Scale >= from.Precision - from.Scale =>
            Scaled(data, to, PowerOfTen(wider.Scale - from.Scale)),
        (Int8Type or Int16Type or Int32Type, Decimal128Type wider) when wider.Precision - wider.Scale >= 10 => Scaled(data, to, PowerOfTen(wider.Scale)),
        (Int64Type, Decimal128Type wider) when wider.Precision - wider.Scale >= 20 => Scaled(data, to, PowerOfTen(wider.Scale)),
        (Int8Type or Int16Type or Int32Type, Int16Type or Int32Type or Int64Type)
            when ((FixedWidthType)data.DataType).BitWidth < ((FixedWidthType)to).BitWidth => Scaled(data, to, 1),
        _ => null,
    };

    [SuppressMessage("Reliability", "CA2000", Justification = "the array owns its buffers")]
    private static ArrayData Reals<T>(ArrayData data, T[] values)
        where T : struct, System.Numerics.INumber<T>
    {
        var bytes = new byte[values.Length * sizeof(double)];
        for (var i = 0; i < values.Length; i++) BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(i * sizeof(double)), double.CreateChecked(values[i]));
        return new(DoubleType.Default, data.Length, data.NullCount, data.Offset, [data.Buffers[0], new(bytes)]);
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the array owns its buffers")]
    private static ArrayData Scaled(ArrayData data, IArrowType to, Int128 factor, int divisor = 1)
    {
        var values = Wholes(data);
        var width = ((FixedWidthType)to).BitWidth / 8;
        var bytes = new byte[values.Length * width];
        Span<byte> wide = stackalloc byte[16];
        for (var i = 0; i < values.Length; i++)
        {
            var value = unchecked(values[i] * factor);
            if (divisor > 1) value = (value - (((value % divisor) + divisor) % divisor)) / divisor; // down, before 1970 too
            BinaryPrimitives.WriteInt128LittleEndian(wide, value);
            wide[..width].CopyTo(bytes.AsSpan(i * width));
        }
        return new(to, data.Length, data.NullCount, data.Offset, [data.Buffers[0], new(bytes)]);
    }

    private static Int128[] Wholes(ArrayData data) => data.DataType switch
    {
        Int8Type => [.. Values<sbyte>(data).Select(value => (Int128)value)],
        Int16Type => [.. Values<short>(data).Select(value => (Int128)value)],
        Int32Type or Date32Type => [.. Values<int>(data).Select(value => (Int128)value)],
        Decimal128Type => Values<Int128>(data),
        _ => [.. Values<long>(data).Select(value => (Int128)value)],
    };

    /// <summary>From the buffer's beginning, so that the offset stays what it is.</summary>
    private static T[] Values<T>(ArrayData data)
        where T : struct =>
        MemoryMarshal.Cast<byte, T>(data.Buffers[1].Span)[..(data.Offset + data.Length)].ToArray();

    private static Int128 PowerOfTen(int exponent)
    {
        Int128 power = 1;
        for (; exponent > 0; exponent--) power *= 10;
        return power;
    }
}
