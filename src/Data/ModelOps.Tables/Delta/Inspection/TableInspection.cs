using System.Text.Encodings.Web;
using System.Text.Json;
using Apache.Arrow;
using ParquetSharp;
using ParquetSharp.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>What is in a table, as JSON for programs: member names in snake case, what is not known left out.</summary>
public static class TableInspection
{
    // Nothing here is embedded in HTML.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>One document: version, time, columns, files, rows, protocol, properties.</summary>
    public static async Task WriteSummaryAsync(Stream output, string path, Snapshot snapshot, CancellationToken cancellationToken)
    {
        var writer = new Utf8JsonWriter(output, Options);
        await using (writer.ConfigureAwait(false))
        {
            writer.WriteStartObject();
            writer.WriteString("path", path);
            writer.WriteNumber("version", snapshot.Version);
            writer.WriteString("timestamp", snapshot.Timestamp);
            writer.WriteNumber("files", snapshot.Files.Count);
            writer.WriteNumber("bytes", snapshot.Files.Sum(file => file.Size));
            if (RowsOf(snapshot) is { } rows) writer.WriteNumber("rows", rows);
            writer.WriteStartArray("columns");
            foreach (var field in snapshot.Schema.FieldsList)
            {
                writer.WriteStartObject();
                writer.WriteString("name", field.Name);
                writer.WriteString("type", SchemaJson.TextOf(field));
                writer.WriteBoolean("nullable", field.IsNullable);
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
            WriteTexts(writer, "partition_columns", snapshot.PartitionColumns);
            writer.WriteNumber("min_reader_version", snapshot.Protocol.MinReaderVersion);
            writer.WriteNumber("min_writer_version", snapshot.Protocol.MinWriterVersion);
            WriteTexts(writer, "features", (snapshot.Protocol.ReaderFeatures ?? []).Union(snapshot.Protocol.WriterFeatures ?? [], StringComparer.Ordinal));
            WriteMap(writer, "properties", snapshot.Metadata.Configuration ?? new Dictionary<string, string>(StringComparer.Ordinal));
            writer.WriteEndObject();
            await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>One document: the commits, latest first.</summary>
    public static async Task WriteHistoryAsync(Stream output, DeltaTable table, long? upTo, CancellationToken cancellationToken)
    {
        var writer = new Utf8JsonWriter(output, Options);
        await using (writer.ConfigureAwait(false))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("items");
            await foreach (var commit in table.HistoryAsync(cancellationToken).ConfigureAwait(false))
                if (upTo is null || commit.Version <= upTo) Write(writer, commit);
            writer.WriteEndArray();
            writer.WriteEndObject();
            await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>A line a row.</summary>
    /// <param name="limit">null: all.</param>
    public static async Task WriteRowsAsync(
        Stream output,
        DeltaTable table,
        Snapshot snapshot,
        IReadOnlyList<string>? columns,
        Predicate? predicate,
        long? limit,
        CancellationToken cancellationToken)
    {
        var writer = new Utf8JsonWriter(output, Options);
        await using (writer.ConfigureAwait(false))
        {
            var left = limit ?? long.MaxValue;
            if (left <= 0) return;
            var batches = table.ReadAsync(snapshot, columns, predicate, cancellationToken: cancellationToken);
            await foreach (var batch in batches.ConfigureAwait(false))
            {
                using (batch) left -= WriteLines(output, writer, batch, left);
                if (left <= 0) return;
            }
        }
    }

    private static int WriteLines(Stream output, Utf8JsonWriter writer, RecordBatch batch, long limit)
    {
        var rows = (int)Math.Min(batch.Length, limit);
        for (var row = 0; row < rows; row++)
        {
            RowJson.Write(writer, batch, row);
            writer.Flush();
            output.WriteByte((byte)'\n');
            writer.Reset();
        }
        return rows;
    }

    /// <summary>The rows as one Parquet file, which is there whole or not at all.</summary>
    /// <returns>How many.</returns>
    public static async Task<long> WriteParquetAsync(
        string path,
        DeltaTable table,
        Snapshot snapshot,
        IReadOnlyList<string>? columns,
        Predicate? predicate,
        long? limit,
        CancellationToken cancellationToken)
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is not { } folder || !Directory.Exists(folder))
            throw new DirectoryNotFoundException($"the folder of {path} is not there");
        var unfinished = $"{path}.{Guid.NewGuid():N}.part";
        var rows = 0L;
        try
        {
            using (var writer = new FileWriter(unfinished, TableScan.SchemaOf(snapshot, columns)))
            {
                var batches = table.ReadAsync(snapshot, columns, predicate, cancellationToken: cancellationToken);
                await foreach (var batch in batches.ConfigureAwait(false))
                {
                    using (batch)
                    {
                        using var some = batch.Slice(0, (int)Math.Min(batch.Length, (limit ?? long.MaxValue) - rows));
                        writer.WriteRecordBatch(some);
                        rows += some.Length;
                    }
                    if (rows >= limit) break;
                }
                writer.Close();
            }
            File.Move(unfinished, path, overwrite: true);
            return rows;
        }
        catch (ParquetException e)
        {
            throw new IOException($"{path} cannot be written: {e.Message}", e);
        }
        finally
        {
            File.Delete(unfinished);
        }
    }

    /// <returns>null: the statistics of some file do not say.</returns>
    private static long? RowsOf(Snapshot snapshot)
    {
        var rows = 0L;
        foreach (var file in snapshot.Files)
        {
            if (FileSkipping.RowsOf(file) is not { } count) return null;
            rows += count - (file.DeletionVector?.Cardinality ?? 0);
        }
        return rows;
    }

    private static void Write(Utf8JsonWriter writer, TableCommit commit)
    {
        writer.WriteStartObject();
        writer.WriteNumber("version", commit.Version);
        writer.WriteString("timestamp", commit.Timestamp);
        if (commit.Operation is not null) writer.WriteString("operation", commit.Operation);
        if (commit.User is not null) writer.WriteString("user", commit.User);
        if (commit.Job is not null) writer.WriteString("job", commit.Job);
        if (commit.TraceId is not null) writer.WriteString("trace_id", commit.TraceId);
        if (commit.Engine is not null) writer.WriteString("engine", commit.Engine);
        if (commit.ReadVersion is { } read) writer.WriteNumber("read_version", read);
        if (commit.IsolationLevel is not null) writer.WriteString("isolation_level", commit.IsolationLevel);
        if (commit.IsBlindAppend is { } blind) writer.WriteBoolean("is_blind_append", blind);
        if (commit.Parameters is not null) WriteMap(writer, "parameters", commit.Parameters);
        if (commit.Metrics is not null) WriteMap(writer, "metrics", commit.Metrics);
        writer.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter writer, string name, IEnumerable<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (var text in texts) writer.WriteStringValue(text);
        writer.WriteEndArray();
    }

    private static void WriteMap(Utf8JsonWriter writer, string name, IReadOnlyDictionary<string, string> texts)
    {
        writer.WriteStartObject(name);
        foreach (var (key, text) in texts.OrderBy(entry => entry.Key, StringComparer.Ordinal)) writer.WriteString(key, text);
        writer.WriteEndObject();
    }
}
