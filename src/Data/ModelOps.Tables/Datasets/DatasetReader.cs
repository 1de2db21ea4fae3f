using System.Runtime.CompilerServices;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

public static class DatasetReader
{
    /// <summary>The rows of one split in one version of its table, in the order in which they were ingested.</summary>
    /// <exception cref="DeltaException">There is no such dataset or version, or its table is broken.</exception>
    public static async IAsyncEnumerable<DatasetExample> ReadAsync(
        IObjectStore tables, string dataset, string split, long tableVersion, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var table = await OpenAsync(tables, dataset, split, cancellationToken).ConfigureAwait(false);
        var snapshot = await table.SnapshotAsync(tableVersion, cancellationToken).ConfigureAwait(false);
        await foreach (var batch in table.ReadAsync(snapshot, cancellationToken).ConfigureAwait(false))
            using (batch)
                foreach (var row in RowBatches.Read(batch))
                    yield return row;
    }

    internal static async Task<DeltaTable> OpenAsync(IObjectStore tables, string dataset, string split, CancellationToken cancellationToken)
    {
        var path = DatasetTables.Path(dataset, split);
        return await DeltaTable.OpenAsync(tables, path, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? throw new DeltaException($"there is no table {path}");
    }
}
