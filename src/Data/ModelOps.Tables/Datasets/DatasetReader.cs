using System.Runtime.CompilerServices;
using Apache.Arrow;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

public static class DatasetReader
{
    /// <summary>The rows of one split in one version of its table, in the order in which they were ingested.</summary>
    /// <exception cref="DeltaException">There is no such dataset or version, or its table is broken.</exception>
    public static async IAsyncEnumerable<SftRow> ReadAsync(
        IObjectStore tables, string dataset, string split, long tableVersion, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var table = await OpenAsync(tables, dataset, split, cancellationToken).ConfigureAwait(false);
        var snapshot = await table.SnapshotAsync(tableVersion, cancellationToken).ConfigureAwait(false);
        await foreach (var batch in table.ReadAsync(snapshot, cancellationToken).ConfigureAwait(false))
            using (batch)
                for (var i = 0; i < batch.Length; i++)
                    yield return Row(batch, i);
    }

    internal static async Task<DeltaTable> OpenAsync(IObjectStore tables, string dataset, string split, CancellationToken cancellationToken)
    {
        var path = DatasetTables.Path(dataset, split);
        return await DeltaTable.OpenAsync(tables, path, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? throw new DeltaException($"there is no table {path}");
    }

    private static SftRow Row(RecordBatch batch, int index)
    {
        var list = (ListArray)batch.Column(1);
        var messages = (StructArray)list.Values;
        var (roles, contents) = ((StringArray)messages.Fields[0], (StringArray)messages.Fields[1]);
        var (start, end) = (list.ValueOffsets[index], list.ValueOffsets[index + 1]);
        var read = new RowMessage[end - start];
        for (var i = start; i < end; i++) read[i - start] = new(roles.GetString(i), contents.GetString(i));
        return new(((StringArray)batch.Column(0)).GetString(index), read, ((Int64Array)batch.Column(2)).GetValue(index)!.Value);
    }
}
