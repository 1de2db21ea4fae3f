using System.Diagnostics.CodeAnalysis;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>Rows of a batch by their numbers, copied: what Arrow's other implementations call take.</summary>
[SuppressMessage("Reliability", "CA2000", Justification = "batches and arrays own what they are made of")]
internal static class RowSelection
{
    /// <param name="rows">In the order of the result; each from 0 to the batch's length.</param>
    public static RecordBatch Take(RecordBatch batch, ReadOnlySpan<int> rows)
    {
        var columns = new List<IArrowArray>();
        foreach (var column in batch.Arrays) columns.Add(ArrowArrayFactory.BuildArray(Take(column.Data, rows)));
        return new(batch.Schema, columns, rows.Length);
    }

    /// <summary>Takes the batch over: it is the result where every row is kept, and released otherwise.</summary>
    public static RecordBatch Keep(RecordBatch batch, Func<int, bool> isKept)
    {
        var rows = Enumerable.Range(0, batch.Length).Where(isKept).ToArray();
        if (rows.Length == batch.Length) return batch;
        using (batch) return Take(batch, rows);
    }

    private static ArrayData Take(ArrayData data, ReadOnlySpan<int> rows)
    {
        var (physical, type) = (Shift(rows, data.Offset), data.DataType);
        var (validity, nulls) = Validity(data, physical);
        return type switch
        {
            StructType => new(type, rows.Length, nulls, 0, [validity], [.. data.Children.Select(child => Take(child, physical))]),
            MapType or ListType => Lists(data, physical, validity, nulls),
            StringType or BinaryType => Bytes(data, physical, validity, nulls),
            BooleanType => new(type, rows.Length, nulls, 0, [validity, Bits(data.Buffers[1].Span, physical)]),
            FixedWidthType fixedWidth => new(type, rows.Length, nulls, 0, [validity, Fixed(data.Buffers[1].Span, fixedWidth.BitWidth / 8, physical)]),
            _ => throw new ArgumentException($"{type.Name} is no type of a Delta table", nameof(data)),
        };
    }

    private static int[] Shift(ReadOnlySpan<int> rows, int offset)
    {
        var shifted = rows.ToArray();
        if (offset != 0)
            for (var i = 0; i < shifted.Length; i++) shifted[i] += offset;
        return shifted;
    }

    private static (ArrowBuffer Bits, int Nulls) Validity(ArrayData data, int[] rows)
    {
        if (data.NullCount == 0 || data.Buffers[0].IsEmpty) return (ArrowBuffer.Empty, 0);
        var bits = Bits(data.Buffers[0].Span, rows);
        return (bits, rows.Length - BitUtility.CountBits(bits.Span, 0, rows.Length));
    }

    private static ArrowBuffer Bits(ReadOnlySpan<byte> source, int[] rows)
    {
        var bits = new byte[(rows.Length + 7) / 8];
        for (var i = 0; i < rows.Length; i++)
            if (BitUtility.GetBit(source, rows[i])) BitUtility.SetBit(bits, i);
        return new(bits);
    }

    private static ArrowBuffer Fixed(ReadOnlySpan<byte> source, int width, int[] rows)
    {
        var values = new byte[rows.Length * width];
        for (var i = 0; i < rows.Length; i++) source.Slice(rows[i] * width, width).CopyTo(values.AsSpan(i * width));
        return new(values);
    }

    private static ArrayData Bytes(ArrayData data, int[] rows, ArrowBuffer validity, int nulls)
    {
        var starts = data.Buffers[1].Span.CastTo<int>();
        var source = data.Buffers[2].Span;
        var offsets = new int[rows.Length + 1];
        for (var i = 0; i < rows.Length; i++) offsets[i + 1] = checked(offsets[i] + starts[rows[i] + 1] - starts[rows[i]]);
        var values = new byte[offsets[^1]];
        for (var i = 0; i < rows.Length; i++) source[starts[rows[i]]..starts[rows[i] + 1]].CopyTo(values.AsSpan(offsets[i]));
        return new(data.DataType, rows.Length, nulls, 0, [validity, Offsets(offsets), new ArrowBuffer(values)]);
    }

    private static ArrayData Lists(ArrayData data, int[] rows, ArrowBuffer validity, int nulls)
    {
        var starts = data.Buffers[1].Span.CastTo<int>();
        var offsets = new int[rows.Length + 1];
        for (var i = 0; i < rows.Length; i++) offsets[i + 1] = checked(offsets[i] + starts[rows[i] + 1] - starts[rows[i]]);
        var items = new int[offsets[^1]];
        for (var i = 0; i < rows.Length; i++)
            for (var item = offsets[i]; item < offsets[i + 1]; item++) items[item] = starts[rows[i]] + item - offsets[i];
        return new(data.DataType, rows.Length, nulls, 0, [validity, Offsets(offsets)], [Take(data.Children[0], items)]);
    }

    private static ArrowBuffer Offsets(int[] offsets) => new ArrowBuffer.Builder<int>(offsets.Length).Append(offsets).Build();
}
