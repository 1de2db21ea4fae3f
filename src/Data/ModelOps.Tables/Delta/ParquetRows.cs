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
    /// <exception cref="DeltaException">The file is missing or is no readable Parquet.</exception>
    public static async IAsyncEnumerable<RecordBatch> ReadAsync(
        IObjectStore store, string key, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var local = await LocalFile.OpenAsync(store, key, cancellationToken).ConfigureAwait(false);
        await foreach (var batch in ReadFileAsync(local.Path, key, cancellationToken).ConfigureAwait(false)) yield return batch;
    }

    /// <param name="path">Of a local file.</param>
    /// <param name="key">What errors call it.</param>
    /// <exception cref="DeltaException">The file is no readable Parquet.</exception>
    public static async IAsyncEnumerable<RecordBatch> ReadFileAsync(
        string path, string key, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var reader = Open(path, key);
        using var batches = reader.GetRecordBatchReader();
        while (await NextAsync(batches, key, cancellationToken).ConfigureAwait(false) is { } batch) yield return batch;
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
