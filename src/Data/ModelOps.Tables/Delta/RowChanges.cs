using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>New values of a column, from the rows that are to be changed.</summary>
/// <param name="rows">As they are; the table's columns.</param>
/// <returns>As many values, of the column's type.</returns>
public delegate IArrowArray ColumnUpdate(RecordBatch rows);

/// <summary>Delete and update of the rows of a condition.</summary>
internal static class RowChanges
{
    public static Task<CommitOutcome> DeleteAsync(DeltaTable table, string where, WriteOptions options, CancellationToken cancellationToken)
    {
        return PlannedCommit.RunAsync(table, options, PlanAsync, cancellationToken);

        async Task<TableTransaction?> PlanAsync(Snapshot snapshot)
        {
            WriterFeatures.CheckRemovable(table.Path, snapshot);
            var predicate = Predicate.Parse(where, snapshot.Schema);
            using var rewrite = new RowRewrite(table, snapshot);
            await DeleteAsync(rewrite, predicate, cancellationToken).ConfigureAwait(false);
            return await rewrite.ToTransactionAsync("DELETE", options, Parameters(where), [predicate], cancellationToken).ConfigureAwait(false);
        }
    }

    public static Task DeleteAsync(RowRewrite rewrite, Predicate predicate, CancellationToken cancellationToken) => rewrite.RewriteAsync(
        FileSkipping.Matching(rewrite.Snapshot, predicate), predicate.Columns, batch => Matching(predicate, batch), rewrite.Delete, cancellationToken);

    public static Task<CommitOutcome> UpdateAsync(
        DeltaTable table, string where, IReadOnlyDictionary<string, ColumnUpdate> set, WriteOptions options, CancellationToken cancellationToken)
    {
        return PlannedCommit.RunAsync(table, options, PlanAsync, cancellationToken);

        async Task<TableTransaction?> PlanAsync(Snapshot snapshot)
        {
            WriterFeatures.CheckRemovable(table.Path, snapshot);
            var predicate = Predicate.Parse(where, snapshot.Schema);
            var unknown = set.Keys.Where(name => snapshot.Schema.GetFieldIndex(name) < 0).ToList();
            if (unknown.Count > 0) throw new ArgumentException($"{table.Path} has no column {string.Join(", ", unknown)}", nameof(set));
            using var rewrite = new RowRewrite(table, snapshot);
            await rewrite.RewriteAsync(
                FileSkipping.Matching(snapshot, predicate), predicate.Columns, batch => Matching(predicate, batch), Change, cancellationToken).ConfigureAwait(false);
            return await rewrite.ToTransactionAsync("UPDATE", options, Parameters(where), [predicate], cancellationToken).ConfigureAwait(false);

            void Change(RecordBatch batch, int[] numbers)
            {
                using var before = RowSelection.Take(batch, numbers);
                rewrite.Update(before, With(before, set));
            }
        }
    }

    private static int[] Matching(Predicate predicate, RecordBatch batch)
    {
        using var matches = predicate.Evaluate(batch);
        return [.. Enumerable.Range(0, batch.Length).Where(row => matches.GetValue(row) == true)];
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the rows' own columns and what the caller made")]
    private static RecordBatch With(RecordBatch rows, IReadOnlyDictionary<string, ColumnUpdate> set)
    {
        var columns = rows.Schema.FieldsList.Select((field, index) => set.TryGetValue(field.Name, out var update)
            ? Checked(field, update(rows), rows.Length)
            : rows.Column(index));
        return new(rows.Schema, columns, rows.Length);
    }

    private static IArrowArray Checked(Field field, IArrowArray values, int length)
    {
        if (values.Length != length) throw new ArgumentException($"{values.Length} values of {field.Name} for {length} rows", nameof(values));
        if (values.Data.DataType.TypeId != field.DataType.TypeId)
            throw new ArgumentException($"values of {field.Name} are {values.Data.DataType.Name}, the column is {field.DataType.Name}", nameof(values));
        return values;
    }

    private static Dictionary<string, string> Parameters(string where) =>
        new(StringComparer.Ordinal) { ["predicate"] = JsonSerializer.Serialize([where], DeltaJson.Default.IReadOnlyListString) };
}
