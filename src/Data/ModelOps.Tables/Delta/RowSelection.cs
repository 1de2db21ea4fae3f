using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>Some rows of a batch as a batch of their own.</summary>
internal static class RowSelection
{
    /// <summary>Takes the batch over: it is the result where every row is kept, and released otherwise.</summary>
    public static RecordBatch Keep(RecordBatch batch, Func<int, bool> isKept)
    {
        var rows = Enumerable.Range(0, batch.Length).Where(isKept).ToArray();
        if (rows.Length == batch.Length) return batch;
        using (batch)
            return new(batch.Schema, batch.Arrays.Select(array => ArrowArrayFactory.BuildArray(Take(array.Data, rows))), rows.Length);
    }

    /// <param name="rows">Ascending, of the data's own rows.</param>
    [SuppressMessage("Reliability", "CA2000", Justification = "the array owns its buffers and children")]
    private static ArrayData Take(ArrayData data, int[] rows)
    {
        var (nulls, nullCount) = TakeNulls(data, rows);
        return data.DataType switch
        {
            StructType => new(data.DataType, rows.Length, nullCount, 0, [nulls], [.. data.Children.Select(child => Take(child, Shift(rows, data.Offset)))]),
            MapType or ListType => TakeLists(data, rows, nulls, nullCount),
            StringType or BinaryType => TakeBytes(data, rows, nulls, nullCount),
            BooleanType => new(data.DataType, rows.Length, nullCount, 0, [nulls, TakeBits(data.Buffers[1], rows, data.Offset)]),
            FixedWidthType type => new(data.DataType, rows.Length, nullCount, 0, [nulls, TakeValues(data, rows, type.BitWidth / 8)]),
            var other => throw new ArgumentException($"{other.Name} is no type of a Delta table", nameof(data)),
        };
    }

    private static (ArrowBuffer Bits, int Count) TakeNulls(ArrayData data, int[] rows)
    {
        if (data.NullCount == 0 || data.Buffers[0].Length == 0) return (ArrowBuffer.Empty, 0);
        var bits = TakeBits(data.Buffers[0], rows, data.Offset);
        return (bits, rows.Length - BitUtility.CountBits(bits.Span, 0, rows.Length));
    }

    private static ArrowBuffer TakeBits(ArrowBuffer from, int[] rows, int offset)
    {
        var bits = new byte[(rows.Length + 7) / 8];
        var source = from.Span;
        for (var i = 0; i < rows.Length; i++)
            if (BitUtility.GetBit(source, rows[i] + offset)) BitUtility.SetBit(bits, i);
        return new(bits);
    }

    private static ArrowBuffer TakeValues(ArrayData data, int[] rows, int width)
    {
        var values = new byte[rows.Length * width];
        var source = data.Buffers[1].Span;
        for (var i = 0; i < rows.Length; i++) source.Slice((rows[i] + data.Offset) * width, width).CopyTo(values.AsSpan(i * width));
        return new(values);
    }

    private static ArrayData TakeBytes(ArrayData data, int[] rows, ArrowBuffer nulls, int nullCount)
    {
        var from = Offsets(data);
        var ends = Ends(from, rows);
        var values = new byte[ends[^1]];
        var source = data.Buffers[2].Span;
        for (var i = 0; i < rows.Length; i++) source[from[rows[i]]..from[rows[i] + 1]].CopyTo(values.AsSpan(ends[i]));
        return new(data.DataType, rows.Length, nullCount, 0, [nulls, Buffer(ends), new ArrowBuffer(values)]);
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the array owns its buffers and children")]
    private static ArrayData TakeLists(ArrayData data, int[] rows, ArrowBuffer nulls, int nullCount)
    {
        var from = Offsets(data);
        var ends = Ends(from, rows);
        var items = new int[ends[^1]];
        for (var i = 0; i < rows.Length; i++)
            for (var j = ends[i]; j < ends[i + 1]; j++) items[j] = from[rows[i]] + j - ends[i];
        return new(data.DataType, rows.Length, nullCount, 0, [nulls, Buffer(ends)], [Take(data.Children[0], items)]);
    }

    private static int[] Ends(ReadOnlySpan<int> from, int[] rows)
    {
        var ends = new int[rows.Length + 1];
        for (var i = 0; i < rows.Length; i++) ends[i + 1] = ends[i] + from[rows[i] + 1] - from[rows[i]];
        return ends;
    }

    private static ReadOnlySpan<int> Offsets(ArrayData data) => MemoryMarshal.Cast<byte, int>(data.Buffers[1].Span)[data.Offset..];

    private static ArrowBuffer Buffer(int[] values) => new(MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    private static int[] Shift(int[] rows, int offset) => offset == 0 ? rows : [.. rows.Select(row => row + offset)];
}
