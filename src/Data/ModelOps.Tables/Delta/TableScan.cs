using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Apache.Arrow;
using ModelOps.Storage;
using ParquetSharp;
using ParquetSharp.Arrow;

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
    /// <param name="more">A column that only some files have, behind the others; null: none.</param>
    /// <exception cref="ArgumentException">There is no such column.</exception>
    public TableScan(IObjectStore store, TablePaths paths, Snapshot snapshot, IReadOnlyList<string>? columns, Predicate? predicate, Field? more = null)
    {
        (this.store, this.paths, this.predicate) = (store, paths, predicate);
        var wanted = SchemaOf(snapshot, columns);
        result = more is null ? wanted : new([.. wanted.FieldsList, more], metadata: null);
        width = result.FieldsList.Count;
        // What only the predicate looks at is read behind them, and dropped.
        var asked = (predicate?.Columns ?? []).Where(name => result.FieldsList.All(field => field.Name != name));
        var all = new Schema([.. result.FieldsList, .. asked.Select(snapshot.Schema.GetFieldByName)], metadata: null);
        projection = new(all, snapshot.MappingMode);
    }

    /// <exception cref="ArgumentException">There is no such column; all that are not there are named.</exception>
    public static Schema SchemaOf(Snapshot snapshot, IReadOnlyList<string>? columns)
    {
        if (columns is null) return snapshot.Schema;
        var unknown = columns.Where(name => snapshot.Schema.GetFieldIndex(name) < 0).ToList();
        return unknown.Count == 0
            ? new(columns.Select(snapshot.Schema.GetFieldByName), metadata: null)
            : throw new ArgumentException(
                $"there is no column {string.Join(", ", unknown)}; there are {string.Join(", ", snapshot.Schema.FieldsList.Select(field => field.Name))}", nameof(columns));
    }

    /// <summary>The rows, file by file; each batch is the caller's to dispose.</summary>
    /// <exception cref="DeltaException">A file is missing, broken, or does not fit the schema.</exception>
    public async IAsyncEnumerable<RecordBatch> ReadAsync(
        IEnumerable<AddFile> files, ScanProgress? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var file in files)
        {
            progress?.Read.Add(file.Path);
            var deleted = await DeletedAsync(file.Path, file.DeletionVector, cancellationToken).ConfigureAwait(false);
            Func<long, bool>? isKept = deleted is null ? null : row => !deleted.Contains(row);
            var batches = ReadAsync(file.Path, file.PartitionValues, isKept, progress, cancellationToken);
            await foreach (var batch in batches.ConfigureAwait(false)) yield return batch;
        }
    }

    /// <returns>null: none.</returns>
    public async Task<RowSet?> DeletedAsync(string path, DeletionVector? vector, CancellationToken cancellationToken) => vector is null
        ? null
        : await DeletionVectorReader.ReadAsync(store, paths, vector, path, cancellationToken).ConfigureAwait(false);

    /// <summary>The rows of one file; each batch is the caller's to dispose.</summary>
    /// <param name="partition">By physical name.</param>
    /// <param name="isKept">By the row's number in the file; null: every row.</param>
    /// <exception cref="DeltaException">The file is missing, broken, or does not fit the schema.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "each batch goes over to the next step, the last to the caller")]
    public async IAsyncEnumerable<RecordBatch> ReadAsync(
        string path,
        IReadOnlyDictionary<string, string?> partition,
        Func<long, bool>? isKept,
        ScanProgress? progress,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var key = paths.KeyOf(path);
        var canFind = false;
        bool IsWanted(Field column)
        {
            canFind |= projection.CanFind(column);
            return projection.Needs(column);
        }
        bool MayMatch(IReadOnlyList<SchemaField> columns, RowGroupMetaData rows)
        {
            if (predicate is null || FileSkipping.MayMatch(predicate, column => BoundsOf(column, columns, rows, partition))) return true;
            if (progress is not null) progress.SkippedRowGroups++;
            return false;
        }
        await foreach (var (firstRow, batch) in ParquetRows.ReadAsync(store, key, IsWanted, MayMatch, cancellationToken).ConfigureAwait(false))
        {
            if (!canFind) throw new DeltaException($"{key} has no column ids, by which the table finds its columns");
            if (Select(projection.Apply(batch, partition, key), firstRow, isKept) is { } rows) yield return rows;
        }
    }

    private Bounds BoundsOf(
        ColumnReference column, IReadOnlyList<SchemaField> columns, RowGroupMetaData rows, IReadOnlyDictionary<string, string?> partition) =>
        partition.ContainsKey(projection.PhysicalName(column)) ? Bounds.Unknown : RowGroupBounds.Of(rows, projection.LeafOf(column, columns), column.Type);

    /// <summary>Takes the batch over.</summary>
    /// <returns>null: no row is left.</returns>
    [SuppressMessage("Reliability", "CA2000", Justification = "each batch goes over to the next step, the last to the caller")]
    private RecordBatch? Select(RecordBatch batch, long firstRow, Func<long, bool>? isKept)
    {
        var rows = isKept is null ? batch : RowSelection.Keep(batch, row => isKept(firstRow + row));
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
