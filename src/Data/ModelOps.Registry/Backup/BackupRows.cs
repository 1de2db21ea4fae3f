using System.Data.Common;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace ModelOps.Registry;

/// <summary>Rows as lines of JSON: an object whose names are the columns.</summary>
internal static class BackupRows
{
    private static readonly UTF8Encoding strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <returns>How many rows there were.</returns>
    public static async Task<long> WriteAsync(MetadataTable table, DbDataReader reader, Stream lines, CancellationToken cancellationToken)
    {
        var rows = 0L;
        var json = new Utf8JsonWriter(lines);
        await using (json.ConfigureAwait(false))
        {
            for (; await reader.ReadAsync(cancellationToken).ConfigureAwait(false); rows++)
            {
                json.WriteStartObject();
                for (var i = 0; i < table.Columns.Count; i++)
                    Write(json, table.Columns[i], reader, i);
                json.WriteEndObject();
                await json.FlushAsync(cancellationToken).ConfigureAwait(false);
                json.Reset();
                lines.WriteByte((byte)'\n');
            }
        }
        return rows;
    }

    /// <summary>Values in the order of the table's columns; null for NULL.</summary>
    /// <exception cref="InvalidDataException">A line is not a row of the table; it says which and why.</exception>
    public static async IAsyncEnumerable<object?[]> ReadAsync(
        MetadataTable table, Stream lines, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var text = new StreamReader(lines, strict, detectEncodingFromByteOrderMarks: false, bufferSize: 64 << 10, leaveOpen: true);
        for (var number = 1L; await LineAsync(text, number, cancellationToken).ConfigureAwait(false) is { } line; number++)
            yield return Parse(table, line, number);
    }

    private static void Write(Utf8JsonWriter json, MetadataColumn column, DbDataReader reader, int at)
    {
        json.WritePropertyName(column.Name);
        if (reader.IsDBNull(at))
        {
            json.WriteNullValue();
            return;
        }
        switch (column.Kind)
        {
            case ColumnKind.Text:
                json.WriteStringValue(reader.GetString(at));
                break;
            case ColumnKind.Int64:
            case ColumnKind.Int32:
                json.WriteNumberValue(reader.GetInt64(at));
                break;
            case ColumnKind.Double:
                json.WriteNumberValue(reader.GetDouble(at));
                break;
            case ColumnKind.Boolean:
                json.WriteBooleanValue(reader.GetBoolean(at));
                break;
            case ColumnKind.Bytes:
                json.WriteBase64StringValue(reader.GetFieldValue<byte[]>(at));
                break;
            default:
                throw new InvalidOperationException($"unknown kind {column.Kind}");
        }
    }

    private static async Task<string?> LineAsync(StreamReader text, long number, CancellationToken cancellationToken)
    {
        try
        {
            return await text.ReadLineAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (DecoderFallbackException e)
        {
            throw new InvalidDataException($"line {number} or a later one is not UTF-8", e);
        }
    }

    private static object?[] Parse(MetadataTable table, string line, long number)
    {
        try
        {
            using var row = JsonDocument.Parse(line);
            if (row.RootElement.ValueKind != JsonValueKind.Object || row.RootElement.GetPropertyCount() != table.Columns.Count)
                throw new FormatException($"it is not an object of {table.Columns.Count} columns");
            return [.. table.Columns.Select(column => Value(column, row.RootElement))];
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            throw new InvalidDataException($"line {number}: {e.Message}", e);
        }
    }

    private static object? Value(MetadataColumn column, JsonElement row)
    {
        if (!row.TryGetProperty(column.Name, out var value)) throw new FormatException($"column {column.Name} is missing");
        if (value.ValueKind == JsonValueKind.Null)
            return column.Nullable ? null : throw new FormatException($"column {column.Name} must not be null");
        return column.Kind switch
        {
            ColumnKind.Text when value.ValueKind == JsonValueKind.String => value.GetString(),
            ColumnKind.Int64 when value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) => number,
            ColumnKind.Int32 when value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) => number,
            ColumnKind.Double when value.ValueKind == JsonValueKind.Number => value.GetDouble(),
            ColumnKind.Boolean when value.ValueKind is JsonValueKind.True or JsonValueKind.False => value.GetBoolean(),
            ColumnKind.Bytes when value.ValueKind == JsonValueKind.String => value.GetBytesFromBase64(),
            _ => throw new FormatException($"column {column.Name} holds no {column.Kind}"),
        };
    }
}
