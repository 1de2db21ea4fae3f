using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Apache.Arrow;
using Apache.Arrow.Ipc;
using ModelOps.Storage;
using ParquetSharp;
using ParquetSharp.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>The rows of a Parquet file in a store, as they are in it.</summary>
internal static class ParquetRows
{
    private const int RowsOfNothing = 1 << 16;

    /// <param name="isWanted">Which of the outermost columns are read.</param>
    /// <param name="mayMatch">Which row groups are read, by the file's columns and what it says of the group; null: all.</param>
    /// <returns>Batches, each with the number of its first row in the file.</returns>
    /// <exception cref="DeltaException">The file is missing or is no readable Parquet.</exception>
    public static async IAsyncEnumerable<(long FirstRow, RecordBatch Batch)> ReadAsync(
        IObjectStore store,
        string key,
        Func<Field, bool> isWanted,
        Func<IReadOnlyList<SchemaField>, RowGroupMetaData, bool>? mayMatch,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var local = await LocalFile.OpenAsync(store, key, cancellationToken).ConfigureAwait(false);
        var rows = ReadFileAsync(local.Path, key, isWanted, mayMatch, cancellationToken);
        await foreach (var batch in rows.ConfigureAwait(false)) yield return batch;
    }

    /// <param name="path">Of a local file.</param>
    /// <param name="key">What errors call it.</param>
    /// <param name="isWanted">Which of the outermost columns are read.</param>
    /// <param name="mayMatch">Which row groups are read; null: all.</param>
    /// <returns>Batches, each with the number of its first row in the file.</returns>
    /// <exception cref="DeltaException">The file is no readable Parquet.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "await foreach disposes it")]
    public static async IAsyncEnumerable<(long FirstRow, RecordBatch Batch)> ReadFileAsync(
        string path,
        string key,
        Func<Field, bool> isWanted,
        Func<IReadOnlyList<SchemaField>, RowGroupMetaData, bool>? mayMatch,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var reader = Open(path, key);
        var row = 0L;
        var groups = Try(key, () => reader.NumRowGroups);
        for (var group = 0; group < groups; group++)
        {
            var (rows, isNeeded) = Try(key, () => Look(reader, group, mayMatch));
            var end = row + rows;
            if (isNeeded)
            {
                await foreach (var batch in ReadGroupAsync(reader, group, end - row, key, isWanted, cancellationToken).ConfigureAwait(false))
                {
                    var first = row;
                    row += batch.Length;
                    yield return (first, batch);
                }
                if (row != end) throw new DeltaException($"{key} has fewer rows than it says");
            }
            row = end;
        }
    }

    private static async IAsyncEnumerable<RecordBatch> ReadGroupAsync(
        FileReader reader, int group, long rows, string key, Func<Field, bool> isWanted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var columns = Try(key, () => LeavesOf(reader, isWanted));
        if (columns.Length == 0)
        {
            for (; rows > 0; rows -= RowsOfNothing) yield return new(new Schema([], metadata: null), [], (int)Math.Min(rows, RowsOfNothing));
            yield break;
        }
        using var batches = Try(key, () => reader.GetRecordBatchReader([group], columns));
        while (await NextAsync(batches, key, cancellationToken).ConfigureAwait(false) is { } batch) yield return batch;
    }

    private static (long Rows, bool IsNeeded) Look(
        FileReader reader, int group, Func<IReadOnlyList<SchemaField>, RowGroupMetaData, bool>? mayMatch)
    {
        using var rows = reader.ParquetReader.RowGroup(group);
        return (rows.MetaData.NumRows, mayMatch?.Invoke(reader.SchemaManifest.SchemaFields, rows.MetaData) != false);
    }

    private static int[] LeavesOf(FileReader reader, Func<Field, bool> isWanted)
    {
        var leaves = new List<int>();
        foreach (var column in reader.SchemaManifest.SchemaFields)
            if (isWanted(column.Field)) Add(column);
        return [.. leaves];

        void Add(SchemaField column)
        {
            if (column.ColumnIndex >= 0) leaves.Add(column.ColumnIndex);
            foreach (var child in column.Children) Add(child);
        }
    }

    private static FileReader Open(string path, string key)
    {
        using var properties = ArrowReaderProperties.GetDefault();
        properties.CoerceInt96TimestampUnit = Apache.Arrow.Types.TimeUnit.Microsecond; // Spark's old way of writing timestamps
        return Try(key, () => new FileReader(path, arrowProperties: properties));
    }

    /// <summary>The reader has many ways to say that a file is broken.</summary>
    private static T Try<T>(string key, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e)
        {
            throw new DeltaException($"{key} is no readable Parquet file: {e.Message}", e);
        }
    }

    private static async Task<RecordBatch?> NextAsync(IArrowArrayStream batches, string key, CancellationToken cancellationToken)
    {
        try
        {
            return await batches.ReadNextRecordBatchAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new DeltaException($"{key} cannot be read to its end: {e.Message}", e);
        }
    }
}
