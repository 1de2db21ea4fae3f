using System.Globalization;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Rows as JSON that loses nothing: decimals as numbers with all digits, dates and times in ISO 8601 (with Z: a moment; without: a local time),
/// binary in Base64, NaN and infinities as texts, maps as objects where their keys are texts and as [key, value] pairs otherwise.
/// </summary>
public static class RowJson
{
    private static readonly DateOnly Epoch = new(1970, 1, 1);

    public static void Write(Utf8JsonWriter writer, RecordBatch batch, int row)
    {
        writer.WriteStartObject();
        for (var column = 0; column < batch.ColumnCount; column++)
        {
            writer.WritePropertyName(batch.Schema.GetFieldByIndex(column).Name);
            Write(writer, batch.Column(column), row);
        }
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, IArrowArray array, int index)
    {
        if (array.IsNull(index))
        {
            writer.WriteNullValue();
            return;
        }
        switch (array)
        {
            case StringArray values: writer.WriteStringValue(values.GetBytes(index, out _)); break;
            case BinaryArray values: writer.WriteBase64StringValue(values.GetBytes(index, out _)); break;
            case BooleanArray values: writer.WriteBooleanValue(values.GetValue(index)!.Value); break;
            case Int8Array values: writer.WriteNumberValue(values.Values[index]); break;
            case Int16Array values: writer.WriteNumberValue(values.Values[index]); break;
            case Int32Array values: writer.WriteNumberValue(values.Values[index]); break;
            case Int64Array values: writer.WriteNumberValue(values.Values[index]); break;
            case FloatArray values when float.IsFinite(values.Values[index]): writer.WriteNumberValue(values.Values[index]); break;
            case FloatArray values: writer.WriteStringValue(values.Values[index].ToString(CultureInfo.InvariantCulture)); break;
            case DoubleArray values when double.IsFinite(values.Values[index]): writer.WriteNumberValue(values.Values[index]); break;
            case DoubleArray values: writer.WriteStringValue(values.Values[index].ToString(CultureInfo.InvariantCulture)); break;
            case Date32Array values: writer.WriteStringValue(Date(values.Values[index])); break;
            case TimestampArray values: writer.WriteStringValue(Time(values.Values[index], (TimestampType)values.Data.DataType)); break;
            case Decimal128Array values: writer.WriteRawValue(values.GetString(index)); break;
            case MapArray values: WriteMap(writer, values, index); break;
            case ListArray values: WriteList(writer, values, index); break;
            case StructArray values: WriteStruct(writer, values, index); break;
            default: throw new ArgumentException($"{array.Data.DataType.Name} is no type of a Delta table", nameof(array));
        }
    }

    /// <summary>As a number of days where the calendar has no such day.</summary>
    private static string Date(int days) => Epoch.DayNumber + (long)days is >= 0 and var day && day <= DateOnly.MaxValue.DayNumber
        ? DateOnly.FromDayNumber((int)day).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)
        : $"{days} days from 1970-01-01";

    private static string Time(long microseconds, TimestampType type)
    {
        var ticks = (Int128)microseconds * TimeSpan.TicksPerMicrosecond + DateTime.UnixEpoch.Ticks;
        if (ticks < 0 || ticks > DateTime.MaxValue.Ticks) return $"{microseconds} microseconds from 1970-01-01";
        return new DateTime((long)ticks).ToString("yyyy-MM-ddTHH:mm:ss.FFFFFF", CultureInfo.InvariantCulture) + (type.Timezone is null ? "" : "Z");
    }

    private static void WriteList(Utf8JsonWriter writer, ListArray list, int index)
    {
        writer.WriteStartArray();
        for (var i = list.ValueOffsets[index]; i < list.ValueOffsets[index + 1]; i++) Write(writer, list.Values, i);
        writer.WriteEndArray();
    }

    private static void WriteStruct(Utf8JsonWriter writer, StructArray values, int index)
    {
        writer.WriteStartObject();
        var fields = ((StructType)values.Data.DataType).Fields;
        for (var i = 0; i < fields.Count; i++)
        {
            writer.WritePropertyName(fields[i].Name);
            Write(writer, values.Fields[i], index);
        }
        writer.WriteEndObject();
    }

    private static void WriteMap(Utf8JsonWriter writer, MapArray map, int index)
    {
        var keys = map.Keys as StringArray;
        if (keys is null) writer.WriteStartArray();
        else writer.WriteStartObject();
        for (var i = map.ValueOffsets[index]; i < map.ValueOffsets[index + 1]; i++)
        {
            if (keys is not null) writer.WritePropertyName(keys.GetBytes(i, out _));
            else
            {
                writer.WriteStartArray();
                Write(writer, map.Keys, i);
            }
            Write(writer, map.Values, i);
            if (keys is null) writer.WriteEndArray();
        }
        if (keys is null) writer.WriteEndArray();
        else writer.WriteEndObject();
    }
}
