using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>What happens to the rows of a table and of a source that have the same keys, and to those of the source alone.</summary>
public sealed record MergeRules
{
    /// <summary>Columns that together say which rows are the same. Rows with a null in one are the same as none.</summary>
    public required IReadOnlyList<string> Keys { get; init; }

    /// <summary>Rows of both get the source's values.</summary>
    /// <value>The default is true.</value>
    public bool UpdateMatched { get; init; } = true;

    /// <summary>SQL on the source's row: rows of both for which it is true are deleted. Default: none.</summary>
    public string? DeleteMatchedWhere { get; init; }

    /// <summary>Rows of the source alone are added.</summary>
    /// <value>The default is true.</value>
    public bool InsertUnmatched { get; init; } = true;
}

/// <summary>Merge, also called upsert: a source of rows, held in memory, against a table that is read file by file.</summary>
internal static class RowMerge
{
    public static Task<CommitOutcome> RunAsync(
        DeltaTable table, StagedRows source, MergeRules rules, WriteOptions options, CancellationToken cancellationToken)
    {
        return PlannedCommit.RunAsync(table, options, PlanAsync, cancellationToken);

        async Task<TableTransaction?> PlanAsync(Snapshot snapshot)
        {
            if (rules.UpdateMatched || rules.DeleteMatchedWhere is not null) WriterFeatures.CheckRemovable(table.Path, snapshot);
            SchemaMerge.Fit(table.Path, snapshot.Metadata.SchemaString!, source.Schema, SchemaMode.Enforce);
            using var rows = await MergeSource.ReadAsync(source, snapshot.Schema, rules, cancellationToken).ConfigureAwait(false);
            using var rewrite = new RowRewrite(table, snapshot);
            var predicate = rows.KeyRange(snapshot.Schema);

            await rewrite.RewriteAsync(FileSkipping.Matching(snapshot, predicate), rules.Keys, rows.Changed, Change, cancellationToken).ConfigureAwait(false);
            if (rules.InsertUnmatched)
                foreach (var batch in rows.Unmatched())
                    using (batch) rewrite.Insert(batch);

            var parameters = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["predicate"] = JsonSerializer.Serialize(string.Join(" AND ", rules.Keys.Select(key => $"target.{key} = source.{key}")), DeltaJson.Default.String),
            };
            return await rewrite.ToTransactionAsync("MERGE", options, parameters, [predicate], cancellationToken).ConfigureAwait(false);

            void Change(RecordBatch batch, int[] numbers)
            {
                var (deleted, updated) = rows.Divide(batch, numbers);
                if (deleted.Length > 0) rewrite.Delete(batch, deleted);
                if (updated.Length == 0) return;
                using var before = RowSelection.Take(batch, updated);
                using var after = rows.For(batch, updated);
                rewrite.Update(before, after);
            }
        }
    }
}

/// <summary>The rows of a merge's source by their keys, as one batch in the table's columns.</summary>
internal sealed class MergeSource : IDisposable
{
    private readonly RecordBatch rows;
    private readonly MergeRules rules;
    private readonly Dictionary<string, int> byKey;
    private readonly bool[] deletes;
    private readonly bool[] matched;

    private MergeSource(RecordBatch rows, MergeRules rules, Schema table)
    {
        (this.rows, this.rules) = (rows, rules);
        matched = new bool[rows.Length];
        deletes = new bool[rows.Length];
        byKey = new(StringComparer.Ordinal);
        for (var row = 0; row < rows.Length; row++)
            if (KeyOf(rows, row) is { } key && !byKey.TryAdd(key, row))
                throw new ArgumentException($"rows {byKey[key] + 1} and {row + 1} of the source have the same {string.Join(", ", rules.Keys)}", nameof(rows));
        if (rules.DeleteMatchedWhere is not { } where) return;
        using var wanted = Predicate.Parse(where, table).Evaluate(rows);
        for (var row = 0; row < deletes.Length; row++) deletes[row] = wanted.GetValue(row) == true;
    }

    /// <exception cref="ArgumentException">A key is no column, or two rows have the same.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "the source owns its rows")]
    public static async Task<MergeSource> ReadAsync(StagedRows source, Schema table, MergeRules rules, CancellationToken cancellationToken)
    {
        var unknown = rules.Keys.Where(key => table.GetFieldIndex(key) < 0).ToList();
        if (unknown.Count > 0 || rules.Keys.Count == 0)
            throw new ArgumentException($"a merge needs columns of the table as keys, not [{string.Join(", ", rules.Keys)}]", nameof(rules));
        var batches = await source.ReadAsync(table, cancellationToken).ToListAsync(cancellationToken).ConfigureAwait(false);
        var whole = batches.Count == 1 ? batches[0] : Concatenate(table, batches);
        try
        {
            return new(whole, rules, table);
        }
        catch
        {
            whole.Dispose();
            throw;
        }
    }

    /// <summary>A condition that holds of every row of the table that may have a key of the source.</summary>
    public Predicate KeyRange(Schema table)
    {
        var ranges = new List<Predicate>();
        foreach (var key in rules.Keys)
        {
            var values = Enumerable.Range(0, rows.Length)
                .Where(row => !rows.Column(key).IsNull(row))
                .Select(row => PartitionPath.TextOf(rows.Column(key), row, key));
            var column = ColumnReference.Resolve([key], table);
            var parsed = values.Select(text => ColumnValue.Parse(column.Type, text)).ToList();
            if (parsed.Count == 0) return new Predicate.Constant(false);
            if (parsed.Contains(null)) continue;
            ranges.Add(new Predicate.Comparison(column, ComparisonOperator.GreaterOrEqual, parsed.Min()!.Value));
            ranges.Add(new Predicate.Comparison(column, ComparisonOperator.LessOrEqual, parsed.Max()!.Value));
        }
        return ranges.Count == 0 ? new Predicate.Constant(true) : new Predicate.And(ranges);
    }

    /// <summary>The numbers of the table's rows that change; those of the source with the same keys are matched from then on.</summary>
    public int[] Changed(RecordBatch batch)
    {
        var changed = new List<int>();
        for (var row = 0; row < batch.Length; row++)
        {
            if (Match(batch, row) is not { } source) continue;
            matched[source] = true;
            if (deletes[source] || rules.UpdateMatched) changed.Add(row);
        }
        return [.. changed];
    }

    public (int[] Deleted, int[] Updated) Divide(RecordBatch batch, int[] numbers)
    {
        var gone = numbers.ToLookup(row => deletes[Match(batch, row)!.Value]);
        return ([.. gone[true]], [.. gone[false]]);
    }

    /// <summary>The source's rows that have the keys of these.</summary>
    public RecordBatch For(RecordBatch batch, int[] numbers) =>
        RowSelection.Take(rows, numbers.Select(row => Match(batch, row)!.Value).ToArray());

    public IEnumerable<RecordBatch> Unmatched()
    {
        var numbers = Enumerable.Range(0, rows.Length).Where(row => !matched[row]).ToArray();
        if (numbers.Length > 0) yield return RowSelection.Take(rows, numbers);
    }

    public void Dispose() => rows.Dispose();

    private int? Match(RecordBatch batch, int row) => KeyOf(batch, row) is { } key && byKey.TryGetValue(key, out var source) ? source : null;

    /// <returns>null: one of the keys is null.</returns>
    private string? KeyOf(RecordBatch batch, int row)
    {
        var key = new StringBuilder();
        foreach (var name in rules.Keys)
        {
            var column = batch.Column(name);
            if (column.IsNull(row)) return null;
            var text = PartitionPath.TextOf(column, row, name);
            key.Append(text.Length).Append(':').Append(text);
        }
        return $"{key}";
    }

    /// <summary>Takes the batches over.</summary>
    private static RecordBatch Concatenate(Schema schema, List<RecordBatch> batches)
    {
        var columns = Enumerable.Range(0, schema.FieldsList.Count).Select(index => batches.Count == 0
            ? ArrowArrayFactory.BuildArray(ConstantColumn.Nulls(schema.FieldsList[index].DataType, 0))
            : ArrowArrayConcatenator.Concatenate([.. batches.Select(batch => batch.Column(index))]));
        var whole = new RecordBatch(schema, columns, batches.Sum(batch => batch.Length));
        foreach (var batch in batches) batch.Dispose();
        return whole;
    }
}
