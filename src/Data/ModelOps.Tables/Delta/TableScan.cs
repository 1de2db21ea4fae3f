using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Apache.Arrow;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>What a scan has touched so far.</summary>
public sealed class ScanProgress
{
    /// <summary>Paths, as in the log.</summary>
    public IReadOnlyList<string> Files => Read;

    /// <summary>Row groups of those files that were left out by what the files say of them.</summary>
    public int SkippedRowGroups { get; internal set; }

    internal List<string> Read { get; } = [];
}

/// <summary>The rows of a snapshot's files, with deleted ones left out.</summary>
internal sealed class TableScan
{
    private readonly IObjectStore store;
    private readonly TablePaths paths;
    private readonly Predicate? predicate;
    private readonly ColumnProjection projection;
    private readonly int width;
    private readonly Schema result;

    /// <param name="columns">In the order wanted; null: all.</param>
    /// <exception cref="ArgumentException">There is no such column.</exception>
    public TableScan(IObjectStore store, TablePaths paths, Snapshot snapshot, IReadOnlyList<string>? columns, Predicate? predicate)
    {
        (this.store, this.paths, this.predicate) = (store, paths, predicate);
        result = columns is null
            ? snapshot.Schema
            : new(columns.Select(name => snapshot.Schema.FieldsList.FirstOrDefault(field => field.Name == name)
                ?? throw new ArgumentException($"{paths.Table} has no column {name}", nameof(columns))), metadata: null);
        width = result.FieldsList.Count;
        // What only the predicate looks at is read behind them, and dropped.
        var more = (predicate?.Columns ?? []).Where(name => result.FieldsList.All(field => field.Name != name));
        var all = new Schema([.. result.FieldsList, .. more.Select(snapshot.Schema.GetFieldByName)], metadata: null);
        projection = new(all, snapshot.MappingMode);
    }

    /// <summary>The rows of one file; each batch is the caller's to dispose.</summary>
    /// <exception cref="DeltaException">The file is missing, broken, or does not fit the schema.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "each batch goes over to the next step, the last to the caller")]
    public async IAsyncEnumerable<RecordBatch> ReadAsync(
        AddFile file, ScanProgress? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        progress?.Read.Add(file.Path);
        var key = paths.KeyOf(file.Path);
        var deleted = file.DeletionVector is null
            ? null
            : await DeletionVectorReader.ReadAsync(store, paths, file.DeletionVector, key, cancellationToken).ConfigureAwait(false);
        var batches = ParquetRows.ReadAsync(store, key, projection.Needs, mayMatch: null, cancellationToken);
        await foreach (var (firstRow, batch) in batches.ConfigureAwait(false))
            if (Select(projection.Apply(batch, file.PartitionValues, key), firstRow, deleted) is { } rows) yield return rows;
    }

    /// <summary>Takes the batch over.</summary>
    /// <returns>null: no row is left.</returns>
    [SuppressMessage("Reliability", "CA2000", Justification = "each batch goes over to the next step, the last to the caller")]
    private RecordBatch? Select(RecordBatch batch, long firstRow, RowSet? deleted)
    {
        var rows = deleted is null ? batch : RowSelection.Keep(batch, row => !deleted.Contains(firstRow + row));
        if (predicate is not null)
        {
            var outcomes = RowEvaluation.Of(predicate, rows);
            rows = RowSelection.Keep(rows, row => outcomes[row] == Outcomes.True);
        }
        if (rows.Length > 0) return Narrow(rows);
        rows.Dispose();
        return null;
    }

    private RecordBatch Narrow(RecordBatch batch)
    {
        for (var i = width; i < batch.ColumnCount; i++) batch.Column(i).Dispose();
        return new(result, batch.Arrays.Take(width), batch.Length);
    }
}
