using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Apache.Arrow;
using Apache.Arrow.Types;
using ParquetSharp;
using ParquetSharp.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>How staged rows become files.</summary>
public sealed record StagingOptions
{
    public const int DefaultIndexedColumns = 32;
    public const int AllColumns = -1;

    /// <summary>Columns whose values divide the rows into files; those of the table that the rows are for. Default: none.</summary>
    public IReadOnlyList<string> PartitionColumns { get; init; } = [];

    /// <summary>Leaf columns, in the order of the schema, that get statistics.</summary>
    /// <value>The default is 32, as that of delta.dataSkippingNumIndexedCols; -1: all.</value>
    public int IndexedColumns { get; init; } = DefaultIndexedColumns;
}

/// <summary>
/// Rows on their way into a table, as Parquet files in a temporary folder: nothing of them is in a store until a commit takes them, so
/// that many rows can be looked at before any is kept. Not thread-safe; disposing drops the files.
/// </summary>
public sealed class StagedRows : IDisposable
{
    // Sizes in memory, before encoding; a row group is held in memory until it is full.
    private const long RowGroupBytes = 64L << 20;
    private const long FileBytes = 1L << 30;
    private const int OpenFiles = 64; // of partitions: more are finished early, so that rows in no order become more files, not more memory

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-rows-");
    private readonly List<StagedFile> files = [];
    private readonly OrderedDictionary<string, OpenFile> open = [];
    private readonly Schema fileSchema;
    private readonly int[] partitions;
    private readonly int[] stored;

    /// <exception cref="ArgumentException">A partition column is no column of the schema.</exception>
    public StagedRows(Schema schema, StagingOptions? options = null)
    {
        (Schema, Options) = (schema, options ?? new());
        partitions = [.. Options.PartitionColumns.Select(IndexOf)];
        stored = [.. Enumerable.Range(0, schema.FieldsList.Count).Except(partitions)];
        fileSchema = new(stored.Select(index => schema.FieldsList[index]), schema.Metadata);
    }

    public Schema Schema { get; }

    public StagingOptions Options { get; }

    public long Rows { get; private set; }

    /// <summary>Writes the batch's rows; the batch stays the caller's.</summary>
    /// <exception cref="ArgumentException">The batch has another schema, or a partition value has no text.</exception>
    public void Write(RecordBatch batch)
    {
        ThrowUnlessSameSchema(batch.Schema);
        if (batch.Length == 0) return;
        for (var i = 0; i < batch.ColumnCount; i++) ThrowIfNull(batch.Column(i), Schema.FieldsList[i], Schema.FieldsList[i].Name);
        if (partitions.Length == 0) Write(batch, "", new Dictionary<string, string?>(StringComparer.Ordinal));
        else WritePartitions(batch);
        Rows += batch.Length;
    }

    public void Dispose()
    {
        foreach (var file in open.Values) file.Dispose();
        open.Clear();
        if (Directory.Exists(folder.FullName)) folder.Delete(recursive: true);
    }

    /// <summary>How rows for the table are staged: divided and with statistics as it asks.</summary>
    public static StagingOptions OptionsFor(Snapshot snapshot) => new()
    {
        PartitionColumns = snapshot.PartitionColumns,
        IndexedColumns = new TableProperties(snapshot.Metadata.Configuration).IndexedColumns,
    };

    /// <summary>Ends the current files and reads them back.</summary>
    /// <param name="schema">Of the batches: columns that the rows lack are null.</param>
    internal async IAsyncEnumerable<RecordBatch> ReadAsync(Schema schema, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var projection = new ColumnProjection(schema, ColumnMappingMode.None);
        foreach (var file in Complete())
        {
            var batches = ParquetRows.ReadFileAsync(file.Path, file.Path, projection.Needs, mayMatch: null, cancellationToken);
            await foreach (var (_, batch) in batches.ConfigureAwait(false)) yield return projection.Apply(batch, file.PartitionValues, file.Path);
        }
    }

    /// <summary>Ends the current files. More rows go to new ones.</summary>
    internal IReadOnlyList<StagedFile> Complete()
    {
        while (open.Count > 0) CloseFirst();
        return files;
    }

    private int IndexOf(string column) => Schema.GetFieldIndex(column) is >= 0 and var index
        ? index
        : throw new ArgumentException($"partition column {column} is no column of {SchemaJson.Render(Schema)}", nameof(column));

    private void ThrowUnlessSameSchema(Schema schema)
    {
        if (!ReferenceEquals(schema, Schema) && SchemaJson.Render(schema) != SchemaJson.Render(Schema))
            throw new ArgumentException($"rows of {SchemaJson.Render(schema)} do not fit {SchemaJson.Render(Schema)}", nameof(schema));
    }

    private static void ThrowIfNull(IArrowArray values, Field field, string name)
    {
        if (!field.IsNullable && values.NullCount > 0) throw new ArgumentException($"column {name} must not be null and is in {values.NullCount} rows", nameof(values));
        if (values is not StructArray { NullCount: 0 } parent) return;
        var fields = ((StructType)field.DataType).Fields;
        for (var i = 0; i < fields.Count; i++) ThrowIfNull(parent.Fields[i], fields[i], $"{name}.{fields[i].Name}");
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the columns are those of the caller's batch")]
    private void WritePartitions(RecordBatch batch)
    {
        var groups = new OrderedDictionary<string, (Dictionary<string, string?> Values, List<int> Rows)>(StringComparer.Ordinal);
        for (var row = 0; row < batch.Length; row++)
        {
            var values = new Dictionary<string, string?>(StringComparer.Ordinal);
            foreach (var index in partitions)
                values[Schema.FieldsList[index].Name] = PartitionPath.Text(batch.Column(index), row, Schema.FieldsList[index].Name);
            var key = string.Join('\0', values.Values.Select(value => value is null ? "" : $"={value}"));
            if (!groups.TryGetValue(key, out var group)) groups[key] = group = (values, []);
            group.Rows.Add(row);
        }
        var columns = stored.Select(batch.Column).ToList();
        var rest = new RecordBatch(fileSchema, columns, batch.Length);
        foreach (var (key, (values, rows)) in groups)
        {
            if (rows.Count == batch.Length)
            {
                Write(rest, key, values);
                continue;
            }
            using var part = RowSelection.Take(rest, [.. rows]);
            Write(part, key, values);
        }
    }

    private void Write(RecordBatch batch, string key, IReadOnlyDictionary<string, string?> values)
    {
        if (!open.TryGetValue(key, out var file))
        {
            if (open.Count == OpenFiles) CloseFirst();
            file = new(Path.Combine(folder.FullName, $"{files.Count + open.Count:D5}-{Guid.NewGuid():N}.parquet"), fileSchema, Options, values);
            open.Add(key, file);
        }
        file.Write(batch);
        if (file.Bytes >= FileBytes) Close(key);
    }

    private void CloseFirst() => Close(open.GetAt(0).Key);

    private void Close(string key)
    {
        open.Remove(key, out var file);
        using (file) files.Add(file!.Complete());
    }

    private static long SizeOf(ArrayData data) =>
        data.Buffers.Sum(buffer => (long)buffer.Length) + (data.Children?.Sum(SizeOf) ?? 0);

    private sealed class OpenFile : IDisposable
    {
        private readonly string path;
        private readonly FileWriter writer;
        private readonly FileStatistics statistics;
        private readonly IReadOnlyDictionary<string, string?> partition;
        private long groupBytes;

        public OpenFile(string path, Schema schema, StagingOptions options, IReadOnlyDictionary<string, string?> partition)
        {
            (this.path, this.partition) = (path, partition);
            statistics = new(schema.FieldsList, options.IndexedColumns);
            using var builder = new WriterPropertiesBuilder();
            using var properties = builder.Compression(Compression.Zstd).Build();
            writer = new(path, schema, properties);
        }

        public long Bytes { get; private set; }

        public void Write(RecordBatch batch)
        {
            var bytes = batch.Arrays.Sum(array => SizeOf(array.Data));
            if (groupBytes > 0 && groupBytes + bytes > RowGroupBytes)
            {
                writer.NewBufferedRowGroup();
                groupBytes = 0;
            }
            writer.WriteBufferedRecordBatch(batch);
            statistics.Add(batch);
            groupBytes += bytes;
            Bytes += bytes;
        }

        public StagedFile Complete()
        {
            writer.Close();
            return new(path, partition, new FileInfo(path).Length, statistics.Rows, statistics.ToJson());
        }

        public void Dispose() => writer.Dispose();
    }
}

/// <param name="Path">In the local file system.</param>
/// <param name="Size">Bytes.</param>
internal sealed record StagedFile(string Path, IReadOnlyDictionary<string, string?> PartitionValues, long Size, long Rows, string Stats);
