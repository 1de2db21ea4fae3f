using Apache.Arrow;
using ParquetSharp;
using ParquetSharp.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Rows on their way into a table, as Parquet files in a temporary folder: nothing of them is in a store until a commit takes them, so
/// that many rows can be looked at before any is kept. Not thread-safe; disposing drops the files.
/// </summary>
public sealed class StagedRows : IDisposable
{
    // Sizes in memory, before encoding; a row group is held in memory until it is full.
    private const long RowGroupBytes = 64L << 20;
    private const long FileBytes = 1L << 30;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-rows-");
    private readonly List<StagedFile> files = [];
    private OpenFile? open;

    public StagedRows(Schema schema) => Schema = schema;

    public Schema Schema { get; }

    public long Rows { get; private set; }

    /// <summary>Writes the batch's rows; the batch stays the caller's.</summary>
    /// <exception cref="ArgumentException">The batch has another schema.</exception>
    public void Write(RecordBatch batch)
    {
        ThrowUnlessSameSchema(batch.Schema);
        if (batch.Length == 0) return;
        open ??= new(Path.Combine(folder.FullName, $"{files.Count:D5}.parquet"), Schema);
        open.Write(batch);
        Rows += batch.Length;
        if (open.Bytes >= FileBytes) CloseFile();
    }

    public void Dispose()
    {
        open?.Dispose();
        open = null;
        if (Directory.Exists(folder.FullName)) folder.Delete(recursive: true);
    }

    /// <summary>Ends the current file. More rows go to a new one.</summary>
    internal IReadOnlyList<StagedFile> Complete()
    {
        CloseFile();
        return files;
    }

    private void ThrowUnlessSameSchema(Schema schema)
    {
        if (!ReferenceEquals(schema, Schema) && SchemaJson.Render(schema) != SchemaJson.Render(Schema))
            throw new ArgumentException($"rows of {SchemaJson.Render(schema)} do not fit {SchemaJson.Render(Schema)}", nameof(schema));
    }

    private void CloseFile()
    {
        if (open is null) return;
        using (open) files.Add(open.Complete());
        open = null;
    }

    private static long SizeOf(ArrayData data) =>
        data.Buffers.Sum(buffer => (long)buffer.Length) + (data.Children?.Sum(SizeOf) ?? 0);

    private sealed class OpenFile : IDisposable
    {
        private readonly string path;
        private readonly FileWriter writer;
        private readonly FileStatistics statistics;
        private long groupBytes;

        public OpenFile(string path, Schema schema)
        {
            this.path = path;
            statistics = new(schema);
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
            return new(path, new FileInfo(path).Length, statistics.ToJson());
        }

        public void Dispose() => writer.Dispose();
    }
}

/// <param name="Size">Bytes.</param>
internal sealed record StagedFile(string Path, long Size, string Stats);
