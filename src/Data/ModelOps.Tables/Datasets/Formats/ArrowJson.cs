using System.Text.Json;
using Apache.Arrow;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>Values of Arrow columns as JSON. What is no text, number, boolean or nesting of them becomes null: no row is made of it.</summary>
internal static class ArrowJson
{
    public static void WriteFields(Utf8JsonWriter writer, RecordBatch batch, int row)
    {
        for (var column = 0; column < batch.ColumnCount; column++)
        {
            writer.WritePropertyName(batch.Schema.GetFieldByIndex(column).Name);
            Write(writer, batch.Column(column), row);
        }
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
            case StringArray texts:
                writer.WriteStringValue(texts.GetString(index));
                break;
            case LargeStringArray texts:
                writer.WriteStringValue(texts.GetString(index));
                break;
            case StringViewArray texts:
                writer.WriteStringValue(texts.GetString(index));
                break;
            case BooleanArray booleans:
                writer.WriteBooleanValue(booleans.GetValue(index)!.Value);
                break;
            case MapArray map:
                WriteMap(writer, map, index);
                break;
            case ListArray list:
                WriteList(writer, list.Values, list.ValueOffsets[index], list.ValueOffsets[index + 1]);
                break;
            case LargeListArray list:
                WriteList(writer, list.Values, checked((int)list.ValueOffsets[index]), checked((int)list.ValueOffsets[index + 1]));
                break;
            case StructArray fields:
                WriteStruct(writer, fields, index);
                break;
            case DictionaryArray dictionary:
                Write(writer, dictionary.Dictionary, IndexAt(dictionary.Indices, index));
                break;
            default:
                WriteNumber(writer, array, index);
                break;
        }
    }

    private static void WriteNumber(Utf8JsonWriter writer, IArrowArray array, int index)
    {
        switch (array)
        {
            case Int8Array numbers:
                writer.WriteNumberValue(numbers.GetValue(index)!.Value);
                break;
            case Int16Array numbers:
                writer.WriteNumberValue(numbers.GetValue(index)!.Value);
                break;
            case Int32Array numbers:
                writer.WriteNumberValue(numbers.GetValue(index)!.Value);
                break;
            case Int64Array numbers:
                writer.WriteNumberValue(numbers.GetValue(index)!.Value);
                break;
            case FloatArray numbers when float.IsFinite(numbers.GetValue(index)!.Value):
                writer.WriteNumberValue(numbers.GetValue(index)!.Value);
                break;
            case DoubleArray numbers when double.IsFinite(numbers.GetValue(index)!.Value):
                writer.WriteNumberValue(numbers.GetValue(index)!.Value);
                break;
            default:
                writer.WriteNullValue();
                break;
        }
    }

    private static int IndexAt(IArrowArray indices, int index) => indices switch
    {
        Int8Array numbers => numbers.GetValue(index)!.Value,
        Int16Array numbers => numbers.GetValue(index)!.Value,
        _ => ((Int32Array)indices).GetValue(index)!.Value,
    };

    private static void WriteList(Utf8JsonWriter writer, IArrowArray values, int start, int end)
    {
        writer.WriteStartArray();
        for (var i = start; i < end; i++) Write(writer, values, i);
        writer.WriteEndArray();
    }

    private static void WriteStruct(Utf8JsonWriter writer, StructArray array, int index)
    {
        writer.WriteStartObject();
        var fields = ((Apache.Arrow.Types.StructType)array.Data.DataType).Fields;
        for (var field = 0; field < fields.Count; field++)
        {
            writer.WritePropertyName(fields[field].Name);
            Write(writer, array.Fields[field], index);
        }
        writer.WriteEndObject();
    }

    private static void WriteMap(Utf8JsonWriter writer, MapArray map, int index)
    {
        writer.WriteStartObject();
        for (var i = map.ValueOffsets[index]; i < map.ValueOffsets[index + 1]; i++)
            if (map.Keys is StringArray keys)
            {
                writer.WritePropertyName(keys.GetString(i));
                Write(writer, map.Values, i);
            }
        writer.WriteEndObject();
    }
}
