using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>Where a dataset's rows go: one Delta table a split and one for the quarantine. Nothing else of the ingestion knows of tables.</summary>
/// <param name="job">Whose rows they are; a table that has them already is not committed again. null: every commit is made.</param>
internal sealed class DatasetSink(IObjectStore tables, string dataset, string? job)
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
    /// <returns>The table's version with these rows: a new one, or the one that the job made before.</returns>
    /// <exception cref="DeltaException">The table is broken, or another program changed its schema.</exception>
    public async Task<long> CommitAsync(string name, StagedRows rows, CancellationToken cancellationToken)
    {
        var path = DatasetTables.Path(dataset, name);
        var table = await DeltaTable.OpenAsync(tables, path, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? await DeltaTable.CreateAsync(tables, path, rows.Schema, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? await DatasetReader.OpenAsync(tables, dataset, name, cancellationToken).ConfigureAwait(false);
        var options = job is null ? new WriteOptions() : new() { Job = job, Application = new(job, Version: 1) };
        return await table.OverwriteAsync(rows, options, cancellationToken).ConfigureAwait(false) switch
        {
            CommitOutcome.Committed committed => committed.Version,
            CommitOutcome.Unchanged => await VersionOfAsync(table, cancellationToken).ConfigureAwait(false),
            CommitOutcome.Conflict conflict => throw new DeltaException(conflict.Reason),
            var other => throw new InvalidOperationException($"{other} is no outcome of a commit"),
        };
    }

    private async Task<long> VersionOfAsync(DeltaTable table, CancellationToken cancellationToken)
    {
        await foreach (var commit in table.HistoryAsync(cancellationToken).ConfigureAwait(false))
            if (commit.Job == job) return commit.Version;
        throw new DeltaException($"{table.Path} has rows of the job {job}, but its log does not go back to them; ingest the file again as a new job");
    }
}
