using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>Where a dataset's rows go: one Delta table a split and one for the quarantine. Nothing else of the ingestion knows of tables.</summary>
internal sealed class DatasetSink(IObjectStore tables, string dataset)
{
    /// <returns>Why rows of this task cannot go there; null if they can.</returns>
    /// <exception cref="DeltaException">A table of the dataset is broken.</exception>
    public async Task<string?> CheckAsync(DatasetTask task, CancellationToken cancellationToken)
    {
        var path = DatasetTables.Path(dataset, DatasetTables.Train);
        if (await DeltaTable.OpenAsync(tables, path, cancellationToken: cancellationToken).ConfigureAwait(false) is not { } table) return null;
        var snapshot = await table.SnapshotAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        return SchemaJson.Render(snapshot.Schema) == SchemaJson.Render(task.Schema)
            ? null
            : $"the dataset {dataset} has other columns than {task} rows ({string.Join(", ", snapshot.Schema.FieldsList.Select(field => field.Name))}); "
                + "choose another name for these rows";
    }

    /// <summary>Replaces a table's rows, in one commit.</summary>
    /// <returns>The table's new version.</returns>
    /// <exception cref="DeltaException">The table is broken, or another program changed its schema.</exception>
    public async Task<long> CommitAsync(string name, StagedRows rows, CancellationToken cancellationToken)
    {
        var path = DatasetTables.Path(dataset, name);
        var table = await DeltaTable.OpenAsync(tables, path, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? await DeltaTable.CreateAsync(tables, path, rows.Schema, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? await DatasetReader.OpenAsync(tables, dataset, name, cancellationToken).ConfigureAwait(false);
        return await table.OverwriteAsync(rows, cancellationToken: cancellationToken).ConfigureAwait(false) switch
        {
            CommitOutcome.Committed committed => committed.Version,
            CommitOutcome.Conflict conflict => throw new DeltaException(conflict.Reason),
            var other => throw new InvalidOperationException($"{other} is no outcome of a commit"),
        };
    }
}
