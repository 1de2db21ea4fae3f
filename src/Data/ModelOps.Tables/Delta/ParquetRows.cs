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
    /// <param name="mayMatch">Which row groups are read; null: all.</param>
    /// <returns>Batches, each with the number of its first row in the file.</returns>
    /// <exception cref="DeltaException">The file is missing or is no readable Parquet.</exception>
    public static async IAsyncEnumerable<(long FirstRow, RecordBatch Batch)> ReadAsync(
        IObjectStore store,
        string key,
        Func<Field, bool> isWanted,
        Func<RowGroupMetaData, bool>? mayMatch,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var local = await LocalFile.OpenAsync(store, key, cancellationToken).ConfigureAwait(false);
        await foreach (var rows in ReadFileAsync(local.Path, key, isWanted, mayMatch, cancellationToken).ConfigureAwait(false)) yield return rows;
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
        Func<RowGroupMetaData, bool>? mayMatch,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var reader = Open(path, key);
        var row = 0L;
        for (var group = 0; group < reader.NumRowGroups; group++)
        {
            var end = row + RowsOf(reader, group, mayMatch, out var isNeeded);
            if (isNeeded)
            {
                await foreach (var batch in ReadGroupAsync(reader, group, end - row, key, isWanted, cancellationToken).ConfigureAwait(false))
                {
                    yield return (row, batch);
                    row += batch.Length;
                }
                if (row != end) throw new DeltaException($"{key} has fewer rows than it says");
            }
            row = end;
        }
    }

    private static async IAsyncEnumerable<RecordBatch> ReadGroupAsync(
        FileReader reader, int group, long rows, string key, Func<Field, bool> isWanted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var columns = LeavesOf(reader, isWanted);
        if (columns.Length == 0)
        {
            for (; rows > 0; rows -= RowsOfNothing) yield return new(new Schema([], metadata: null), [], (int)Math.Min(rows, RowsOfNothing));
            yield break;
        }
        using var batches = Batches(reader, group, columns, key);
        while (await NextAsync(batches, key, cancellationToken).ConfigureAwait(false) is { } batch) yield return batch;
    }

    private static long RowsOf(FileReader reader, int group, Func<RowGroupMetaData, bool>? mayMatch, out bool isNeeded)
    {
        using var rows = reader.ParquetReader.RowGroup(group);
        isNeeded = mayMatch?.Invoke(rows.MetaData) != false;
        return rows.MetaData.NumRows;
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
        try
        {
            return new(path, arrowProperties: properties);
        }
        catch (ParquetException e)
        {
            throw new DeltaException($"{key} is no readable Parquet file: {e.Message}", e);
        }
    }

    private static IArrowArrayStream Batches(FileReader reader, int group, int[] columns, string key)
    {
        try
        {
            return reader.GetRecordBatchReader([group], columns);
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
