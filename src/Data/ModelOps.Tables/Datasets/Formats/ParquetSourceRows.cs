using System.Runtime.CompilerServices;
using Apache.Arrow;
using ParquetSharp.Arrow;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>The rows of a Parquet file as JSON objects.</summary>
internal static class ParquetSourceRows
{
    private const long BatchRows = 1024;

    /// <param name="source">Copied to a temporary file: Parquet is read from its end.</param>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static async IAsyncEnumerable<RawRow> ReadAsync(Stream source, int maxRow, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var path = Path.GetTempFileName();
        try
        {
            var file = File.Create(path);
            await using (file.ConfigureAwait(false)) await source.CopyToAsync(file, cancellationToken).ConfigureAwait(false);
            using var writer = new RowWriter();
            var number = 0L;
            await foreach (var batch in ReadBatchesAsync(path, cancellationToken).ConfigureAwait(false))
                using (batch)
                    for (var row = 0; row < batch.Length; row++)
                    {
                        var (at, of) = (row, batch);
                        var json = writer.Write(json => ArrowJson.WriteFields(json, of, at));
                        yield return RawRow.OfText(++number, json, json.Length > maxRow ? new RowFault($"longer than {maxRow >> 20} MiB") : null);
                    }
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Each batch is the caller's to dispose.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static async IAsyncEnumerable<RecordBatch> ReadBatchesAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var properties = ArrowReaderProperties.GetDefault();
        properties.BatchSize = BatchRows;
        using var reader = Guard(() => new FileReader(path, arrowProperties: properties));
        using var batches = Guard(() => reader.GetRecordBatchReader());
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var batch = await GuardAsync(() => batches.ReadNextRecordBatchAsync(cancellationToken)).ConfigureAwait(false);
            if (batch is null) yield break;
            yield return batch;
        }
    }

    private static T Guard<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new InvalidDataException($"the Parquet file is damaged or cut off: {e.Message}; make or download it again", e);
        }
    }

    private static async ValueTask<RecordBatch?> GuardAsync(Func<ValueTask<RecordBatch>> read)
    {
        try
        {
            return await read().ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new InvalidDataException($"the Parquet file is damaged or cut off: {e.Message}; make or download it again", e);
        }
    }
}
