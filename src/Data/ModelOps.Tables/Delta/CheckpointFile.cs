using System.Runtime.CompilerServices;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>A checkpoint: the actions that still count at its version, one a row, as Parquet.</summary>
internal static class CheckpointFile
{
    private const string SidecarFolder = "_sidecars";
    private static readonly string[] Actions = ["protocol", "metaData", "add", "remove", "txn", "domainMetadata", "sidecar"];

    /// <summary>Its actions, with those of the sidecars that it names.</summary>
    /// <exception cref="DeltaException">A file is missing or broken, or a row is no action.</exception>
    public static async IAsyncEnumerable<LogLine> ReadAsync(
        IObjectStore store, string key, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var rows = key.EndsWith(".json", StringComparison.Ordinal) ? ReadJsonAsync(store, key, cancellationToken) : ReadParquetAsync(store, key, cancellationToken);
        await foreach (var line in rows.ConfigureAwait(false))
        {
            if (line.Sidecar is null)
            {
                yield return line;
                continue;
            }
            var sidecar = SidecarKey(key, line.Sidecar);
            await foreach (var action in ReadParquetAsync(store, sidecar, cancellationToken).ConfigureAwait(false))
                yield return action.Sidecar is null ? action : throw new DeltaException($"{sidecar} names a sidecar, which only a checkpoint may");
        }
    }

    /// <summary>They are in one folder, whatever the path before the name is.</summary>
    private static string SidecarKey(string checkpoint, Sidecar sidecar)
    {
        var name = Uri.UnescapeDataString(sidecar.Path[(sidecar.Path.LastIndexOf('/') + 1)..]);
        return name.Length > 0 && name is not ("." or "..") && !name.Contains('/', StringComparison.Ordinal)
            ? $"{checkpoint[..checkpoint.LastIndexOf('/')]}/{SidecarFolder}/{name}"
            : throw new DeltaException($"{checkpoint} names a sidecar '{sidecar.Path}', which is no file name");
    }

    private static async IAsyncEnumerable<LogLine> ReadJsonAsync(
        IObjectStore store, string key, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var source = await store.OpenReadAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? throw new DeltaException($"{key} was deleted while the log was read");
        using var bytes = new MemoryStream();
        await using (source.ConfigureAwait(false)) await source.CopyToAsync(bytes, cancellationToken).ConfigureAwait(false);
        foreach (var line in CommitFile.Parse(key, bytes.GetBuffer().AsMemory(0, (int)bytes.Length))) yield return line;
    }

    private static async IAsyncEnumerable<LogLine> ReadParquetAsync(
        IObjectStore store, string key, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var batches = ParquetRows.ReadAsync(store, key, column => Actions.Contains(column.Name, StringComparer.Ordinal), mayMatch: null, cancellationToken);
        await foreach (var (_, batch) in batches.ConfigureAwait(false))
            using (batch)
                for (var row = 0; row < batch.Length; row++)
                    if (Line(batch, row, key) is { } line) yield return line;
    }

    /// <returns>null: an action of another kind.</returns>
    private static LogLine? Line(RecordBatch batch, int row, string key)
    {
        // By way of JSON, so that an action is checked by the same rules wherever it stands.
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            foreach (var action in Actions)
                if (batch.Schema.GetFieldIndex(action) is var index and >= 0 && !batch.Column(index).IsNull(row))
                {
                    writer.WritePropertyName(action);
                    Write(writer, batch.Column(index), row);
                }
            writer.WriteEndObject();
        }
        return stream.Length <= 2 ? null : CommitFile.ParseLine(key, row + 1, stream.GetBuffer().AsSpan(0, (int)stream.Length));
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
            case StructArray values:
                WriteStruct(writer, values, index);
                break;
            case MapArray { Keys: StringArray keys } values:
                WriteMap(writer, keys, values, index);
                break;
            case ListArray values:
                writer.WriteStartArray();
                for (var i = values.ValueOffsets[index]; i < values.ValueOffsets[index + 1]; i++) Write(writer, values.Values, i);
                writer.WriteEndArray();
                break;
            case StringArray values:
                writer.WriteStringValue(values.GetBytes(index, out _));
                break;
            case Int64Array values:
                writer.WriteNumberValue(values.GetValue(index)!.Value);
                break;
            case Int32Array values:
                writer.WriteNumberValue(values.GetValue(index)!.Value);
                break;
            case BooleanArray values:
                writer.WriteBooleanValue(values.GetValue(index)!.Value);
                break;
            default:
                throw new DeltaException($"a checkpoint has a column of type {array.Data.DataType.Name}, which no action has");
        }
    }

    private static void WriteStruct(Utf8JsonWriter writer, StructArray values, int index)
    {
        writer.WriteStartObject();
        var fields = ((StructType)values.Data.DataType).Fields;
        for (var i = 0; i < fields.Count; i++)
        {
            // stats_parsed and partitionValues_parsed repeat in the table's own types what stats and partitionValues say.
            if (fields[i].Name.EndsWith("_parsed", StringComparison.Ordinal) || values.Fields[i].IsNull(index)) continue;
            writer.WritePropertyName(fields[i].Name);
            Write(writer, values.Fields[i], index);
        }
        writer.WriteEndObject();
    }

    private static void WriteMap(Utf8JsonWriter writer, StringArray keys, MapArray values, int index)
    {
        writer.WriteStartObject();
        for (var i = values.ValueOffsets[index]; i < values.ValueOffsets[index + 1]; i++)
        {
            writer.WritePropertyName(keys.GetBytes(i, out _));
            Write(writer, values.Values, i);
        }
        writer.WriteEndObject();
    }
}
