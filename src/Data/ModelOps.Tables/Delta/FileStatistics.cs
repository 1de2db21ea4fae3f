using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>
/// What a reader may know of a file without opening it: rows, nulls, and bounds of flat columns (PROTOCOL.md, "Per-file Statistics").
/// </summary>
internal sealed class FileStatistics(Schema schema)
{
    private readonly ColumnBounds?[] columns = [.. schema.FieldsList.Select(field => ColumnBounds.For(field.DataType))];
    private readonly long[] nulls = new long[schema.FieldsList.Count];

    public long Rows { get; private set; }

    public void Add(RecordBatch batch)
    {
        Rows += batch.Length;
        for (var i = 0; i < columns.Length; i++)
        {
            var column = batch.Column(i);
            nulls[i] += column.NullCount;
            columns[i]?.Add(column);
        }
    }

    public string ToJson()
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            writer.WriteNumber("numRecords", Rows);
            Write(writer, "minValues", i => columns[i]?.Min());
            Write(writer, "maxValues", i => columns[i]?.Max());
            Write(writer, "nullCount", i => schema.FieldsList[i].DataType is Apache.Arrow.Types.NestedType ? null : JsonValue(nulls[i]));
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    internal static string JsonValue(long number) => number.ToString(CultureInfo.InvariantCulture);

    private void Write(Utf8JsonWriter writer, string name, Func<int, string?> value)
    {
        writer.WriteStartObject(name);
        for (var i = 0; i < columns.Length; i++)
        {
            if (value(i) is not { } json) continue;
            writer.WritePropertyName(schema.FieldsList[i].Name);
            writer.WriteRawValue(json);
        }
        writer.WriteEndObject();
    }
}

/// <summary>The least and the greatest value of one column, as JSON; null: unknown.</summary>
internal abstract class ColumnBounds
{
    public static ColumnBounds? For(Apache.Arrow.Types.IArrowType type) => type switch
    {
        Apache.Arrow.Types.Int8Type => new NumberBounds<sbyte>(),
        Apache.Arrow.Types.Int16Type => new NumberBounds<short>(),
        Apache.Arrow.Types.Int32Type => new NumberBounds<int>(),
        Apache.Arrow.Types.Int64Type => new NumberBounds<long>(),
        Apache.Arrow.Types.FloatType => new NumberBounds<float>(),
        Apache.Arrow.Types.DoubleType => new NumberBounds<double>(),
        Apache.Arrow.Types.Date32Type => new DateBounds(),
        Apache.Arrow.Types.StringType => new TextBounds(),
        _ => null,
    };

    public abstract void Add(IArrowArray column);

    public abstract string? Min();

    public abstract string? Max();
}

internal class NumberBounds<T> : ColumnBounds
    where T : struct, INumber<T>, IMinMaxValue<T>
{
    private (T Min, T Max)? bounds;
    private bool unordered;

    public override void Add(IArrowArray column)
    {
        var array = (PrimitiveArray<T>)column;
        for (var i = 0; i < array.Length; i++)
        {
            if (array.GetValue(i) is not { } value) continue;
            unordered |= T.IsNaN(value);
            bounds = bounds is { } b ? (T.Min(b.Min, value), T.Max(b.Max, value)) : (value, value);
        }
    }

    public override string? Min() => bounds is { } b ? Json(b.Min) : null;

    public override string? Max() => bounds is { } b ? Json(b.Max) : null;

    protected virtual string? Render(T value) => value.ToString(null, CultureInfo.InvariantCulture);

    // JSON has no word for infinity, and nothing is known of a column in which some value has no order.
    private string? Json(T value) => unordered || T.IsInfinity(value) ? null : Render(value);
}

/// <summary>Days since 1970-01-01.</summary>
internal sealed class DateBounds : NumberBounds<int>
{
    protected override string? Render(int value)
    {
        var day = DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber + (long)value;
        return day < 0 || day > DateOnly.MaxValue.DayNumber
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"\"{DateOnly.FromDayNumber((int)day):yyyy-MM-dd}\"");
    }
}

/// <summary>In the order of UTF-8 bytes; bounds are cut to 32 code points, the greatest one upwards.</summary>
internal sealed class TextBounds : ColumnBounds
{
    private const int Limit = 32;
    private byte[]? min;
    private byte[]? max;

    public override void Add(IArrowArray column)
    {
        var array = (StringArray)column;
        for (var i = 0; i < array.Length; i++)
        {
            if (array.IsNull(i)) continue;
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
