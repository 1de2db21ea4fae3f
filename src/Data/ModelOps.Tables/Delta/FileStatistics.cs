using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>
/// What a reader may know of a file without opening it: rows and, for the first leaf columns, nulls and bounds (PROTOCOL.md, "Per-file
/// Statistics"). Lists and maps have none.
/// </summary>
/// <param name="indexedColumns">Leaf columns to know of, in the order of the schema; -1: all.</param>
internal sealed class FileStatistics(IReadOnlyList<Field> fields, int indexedColumns)
{
    private readonly StructStatistics columns = new(fields, new LeafBudget(indexedColumns));

    public long Rows { get; private set; }

    public void Add(RecordBatch batch)
    {
        Rows += batch.Length;
        columns.Add([.. batch.Arrays], batch.Length, present: null);
    }

    public string ToJson()
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteNumber("numRecords", Rows);
            columns.Write(writer, "minValues", leaf => leaf.Min());
            columns.Write(writer, "maxValues", leaf => leaf.Max());
            columns.Write(writer, "nullCount", leaf => $"{leaf.Nulls}");
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}

/// <summary>How many more leaf columns are looked at.</summary>
internal sealed class LeafBudget(int columns)
{
    private int taken;

    public bool Take() => columns < 0 || taken++ < columns;
}

/// <summary>Bounds of the fields of a struct, or of the table's columns.</summary>
internal sealed class StructStatistics
{
    private readonly (string Name, StructStatistics? Nested, ColumnBounds? Leaf)[] children;

    public StructStatistics(IReadOnlyList<Field> fields, LeafBudget budget) => children =
    [
        .. fields.Select(field => field.DataType switch
        {
            StructType type => (field.Name, new StructStatistics(type.Fields, budget), null),
            NestedType => (field.Name, null, null),
            var type => (field.Name, (StructStatistics?)null, budget.Take() ? ColumnBounds.For(type) : null),
        }),
    ];

    /// <param name="present">Where the struct itself is null its fields are; null: it never is.</param>
    public void Add(IReadOnlyList<IArrowArray> arrays, int length, bool[]? present)
    {
        for (var i = 0; i < children.Length; i++)
        {
            children[i].Leaf?.Add(arrays[i], present);
            children[i].Nested?.Add(((StructArray)arrays[i]).Fields, length, Present(arrays[i], length, present));
        }
    }

    public void Write(Utf8JsonWriter writer, string name, Func<ColumnBounds, string?> value)
    {
        writer.WriteStartObject(name);
        foreach (var (child, nested, leaf) in children)
        {
            if (nested is { HasLeaves: true }) nested.Write(writer, child, value);
            if (leaf is null || value(leaf) is not { } json) continue;
            writer.WritePropertyName(child);
            writer.WriteRawValue(json);
        }
        writer.WriteEndObject();
    }

    private bool HasLeaves => children.Any(child => child.Leaf is not null || child.Nested is { HasLeaves: true });

    private static bool[]? Present(IArrowArray array, int length, bool[]? parent)
    {
        if (array.NullCount == 0) return parent;
        var present = new bool[length];
        for (var i = 0; i < length; i++) present[i] = array.IsValid(i) && (parent is null || parent[i]);
        return present;
    }
}

/// <summary>The nulls of one leaf column and its least and greatest value, as JSON; null: unknown.</summary>
internal abstract class ColumnBounds
{
    public long Nulls { get; protected set; }

    public static ColumnBounds For(IArrowType type) => type switch
    {
        Int8Type => new NumberBounds<sbyte>(),
        Int16Type => new NumberBounds<short>(),
        Int32Type => new NumberBounds<int>(),
        Int64Type => new NumberBounds<long>(),
        FloatType => new NumberBounds<float>(),
        DoubleType => new NumberBounds<double>(),
        Date32Type => new DateBounds(),
        TimestampType timestamp => new TimestampBounds(isLocal: timestamp.Timezone is null),
        Decimal128Type decimals => new DecimalBounds(decimals.Scale),
        StringType => new TextBounds(),
        _ => new NullsOnly(),
    };

    /// <param name="present">Rows where the struct around the column is there; null: all.</param>
    public abstract void Add(IArrowArray column, bool[]? present);

    public abstract string? Min();

    public abstract string? Max();

    protected static bool IsNull(IArrowArray column, int row, bool[]? present) =>
        column.IsNull(row) || (present is not null && !present[row]);
}

/// <summary>Booleans and bytes.</summary>
internal sealed class NullsOnly : ColumnBounds
{
    public override void Add(IArrowArray column, bool[]? present)
    {
        for (var i = 0; i < column.Length; i++)
            if (IsNull(column, i, present)) Nulls++;
    }

    public override string? Min() => null;

    public override string? Max() => null;
}

internal class NumberBounds<T> : ColumnBounds
    where T : struct, INumber<T>, IMinMaxValue<T>
{
    private (T Min, T Max)? bounds;
    private bool unordered;

    public override void Add(IArrowArray column, bool[]? present)
    {
        var values = Values(column);
        var hasNulls = present is not null || column.NullCount != 0;
        for (var i = 0; i < values.Length; i++)
        {
            if (hasNulls && IsNull(column, i, present))
            {
                Nulls++;
                continue;
            }
            var value = values[i];
            unordered |= T.IsNaN(value);
            bounds = bounds is { } b ? (T.Min(b.Min, value), T.Max(b.Max, value)) : (value, value);
        }
    }

    public override string? Min() => bounds is { } b ? Json(b.Min, isMax: false) : null;

    public override string? Max() => bounds is { } b ? Json(b.Max, isMax: true) : null;

    protected virtual ReadOnlySpan<T> Values(IArrowArray column) => ((PrimitiveArray<T>)column).Values;

    protected virtual string? Render(T value, bool isMax) => value.ToString(null, CultureInfo.InvariantCulture);

    // JSON has no word for infinity, and nothing is known of a column in which some value has no order.
    private string? Json(T value, bool isMax) => unordered || T.IsInfinity(value) ? null : Render(value, isMax);
}

/// <summary>Days since 1970-01-01.</summary>
internal sealed class DateBounds : NumberBounds<int>
{
    protected override string? Render(int value, bool isMax)
    {
        var day = DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber + (long)value;
        return day < 0 || day > DateOnly.MaxValue.DayNumber
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"\"{DateOnly.FromDayNumber((int)day):yyyy-MM-dd}\"");
    }
}

/// <summary>Microseconds since the Unix epoch, as ISO 8601 in whole milliseconds: the least rounded down, the greatest up.</summary>
internal sealed class TimestampBounds(bool isLocal) : NumberBounds<long>
{
    private const long PerMillisecond = 1000;
    private static readonly long Least = (DateTime.MinValue - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMillisecond;
    private static readonly long Greatest = (DateTime.MaxValue - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMillisecond;

    protected override string? Render(long value, bool isMax)
    {
        var (milliseconds, rest) = Math.DivRem(value, PerMillisecond);
        if (rest < 0) milliseconds--;
        if (isMax && rest != 0) milliseconds++;
        return milliseconds < Least || milliseconds > Greatest
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"\"{DateTime.UnixEpoch.AddTicks(milliseconds * TimeSpan.TicksPerMillisecond):yyyy-MM-ddTHH:mm:ss.fff}{(isLocal ? "" : "Z")}\"");
    }
}

internal sealed class DecimalBounds(int scale) : NumberBounds<Int128>
{
    protected override ReadOnlySpan<Int128> Values(IArrowArray column) =>
        // Both are 16 bytes, little-endian.
        MemoryMarshal.Cast<byte, Int128>(((Decimal128Array)column).ValueBuffer.Span).Slice(column.Data.Offset, column.Length);

    protected override string? Render(Int128 value, bool isMax)
    {
        var digits = Int128.Abs(value).ToString(CultureInfo.InvariantCulture).PadLeft(scale + 1, '0');
        return $"{(value < 0 ? "-" : "")}{digits[..^scale]}{(scale > 0 ? "." : "")}{digits[^scale..]}";
    }
}

/// <summary>In the order of UTF-8 bytes; bounds are cut to 32 code points, the greatest one upwards.</summary>
internal sealed class TextBounds : ColumnBounds
{
    private const int Limit = 32;
    private byte[]? min;
    private byte[]? max;

    public override void Add(IArrowArray column, bool[]? present)
    {
        var array = (StringArray)column;
        for (var i = 0; i < array.Length; i++)
        {
            if (IsNull(array, i, present))
            {
                Nulls++;
                continue;
            }
            var value = array.GetBytes(i, out _);
            if (min is null || value.SequenceCompareTo(min) < 0) min = value.ToArray();
            if (max is null || value.SequenceCompareTo(max) > 0) max = value.ToArray();
        }
    }

    public override string? Min() => min is null ? null : Json(Cut(min).Prefix);

    public override string? Max()
    {
        if (max is null) return null;
        var (prefix, whole) = Cut(max);
        // U+10FFFF sorts after whatever was cut off, unless that begins with it.
        return Json(whole ? prefix : prefix + "\U0010FFFF");
    }

    private static (string Prefix, bool Whole) Cut(byte[] text)
    {
        var runes = Encoding.UTF8.GetString(text).EnumerateRunes().ToList();
        return (string.Concat(runes.Take(Limit)), runes.Count <= Limit);
    }

    private static string Json(string text) => $"\"{JsonEncodedText.Encode(text)}\"";
}
