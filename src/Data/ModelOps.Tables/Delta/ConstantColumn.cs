using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>Columns of one value, from the text of PROTOCOL.md, "Partition Value Serialization".</summary>
internal static class ConstantColumn
{
    /// <param name="text">null or empty: the value is null.</param>
    /// <returns>null: the text is no value of the field's type.</returns>
    public static ArrayData? Build(Field field, string? text, int length)
    {
        if (string.IsNullOrEmpty(text)) return Nulls(field.DataType, length);
        return field.DataType switch
        {
            StringType => Bytes(field.DataType, Encoding.UTF8.GetBytes(text), length),
            BinaryType => Bytes(field.DataType, Encoding.Latin1.GetBytes(text), length),
            BooleanType when bool.TryParse(text, out var value) => Flags(value, length),
            FixedWidthType type when Fixed(type, text) is { } value => Repeat(type, value, length),
            _ => null,
        };
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the array owns its children")]
    public static ArrayData Nulls(IArrowType type, int length)
    {
        var none = Zeros((length + 7) / 8);
        return type switch
        {
            StructType parent => new(type, length, length, 0, [none], [.. parent.Fields.Select(field => Nulls(field.DataType, length))]),
            MapType map => new(type, length, length, 0, [none, Zeros((length + 1) * sizeof(int))], [Nulls(map.KeyValueType, 0)]),
            ListType list => new(type, length, length, 0, [none, Zeros((length + 1) * sizeof(int))], [Nulls(list.ValueDataType, 0)]),
            StringType or BinaryType => new(type, length, length, 0, [none, Zeros((length + 1) * sizeof(int)), ArrowBuffer.Empty]),
            FixedWidthType width => new(type, length, length, 0, [none, Zeros(((length * width.BitWidth) + 7) / 8)]),
            _ => throw new ArgumentException($"{type.Name} is no type of a Delta table", nameof(type)),
        };
    }

    /// <returns>null: no value of the type, or beyond its range.</returns>
    private static byte[]? Fixed(FixedWidthType type, string text)
    {
        if (ColumnValue.Parse(type, text) is not { } value) return null;
        if (type is FloatType) return BitConverter.GetBytes((float)value.Real);
        if (type is DoubleType) return BitConverter.GetBytes(value.Real);
        var bits = type.BitWidth;
        if (value.Whole << (128 - bits) >> (128 - bits) != value.Whole) return null;
        var bytes = new byte[16];
        BinaryPrimitives.WriteInt128LittleEndian(bytes, value.Whole);
        return bytes[..(bits / 8)];
    }

    private static ArrayData Repeat(FixedWidthType type, byte[] value, int length)
    {
        var values = new byte[value.Length * length];
        for (var i = 0; i < length; i++) value.CopyTo(values, i * value.Length);
        return new(type, length, 0, 0, [ArrowBuffer.Empty, new ArrowBuffer(values)]);
    }

    private static ArrayData Bytes(IArrowType type, byte[] value, int length)
    {
        var (offsets, values) = (new int[length + 1], new byte[value.Length * length]);
        for (var i = 0; i < length; i++)
        {
            value.CopyTo(values, i * value.Length);
            offsets[i + 1] = (i + 1) * value.Length;
        }
        var ends = new ArrowBuffer.Builder<int>().Append(offsets).Build();
        return new(type, length, 0, 0, [ArrowBuffer.Empty, ends, new ArrowBuffer(values)]);
    }

    private static ArrayData Flags(bool value, int length)
    {
        var bits = new byte[(length + 7) / 8];
        if (value) bits.AsSpan().Fill(byte.MaxValue);
        return new(BooleanType.Default, length, 0, 0, [ArrowBuffer.Empty, new ArrowBuffer(bits)]);
    }

    private static ArrowBuffer Zeros(int bytes) => new(new byte[bytes]);
}
