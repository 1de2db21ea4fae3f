using System.Globalization;
using System.Text.Json;
using Apache.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>Staged rows into a table: added to its rows, in place of all, or in place of those of a condition.</summary>
internal static class TableWrites
{
    public static Task<CommitOutcome> AppendAsync(DeltaTable table, StagedRows rows, WriteOptions options, CancellationToken cancellationToken)
    {
        if (options.Schema == SchemaMode.Replace)
            throw new ArgumentException("a schema is replaced together with all rows: overwrite the table", nameof(options));
        return PlannedCommit.RunAsync(table, options, PlanAsync, cancellationToken);

        async Task<TableTransaction?> PlanAsync(Snapshot snapshot)
        {
            var metadata = await FitAsync(table, snapshot, rows, options.Schema, cancellationToken).ConfigureAwait(false);
            var adds = await table.DataFiles.AddAsync(rows, dataChange: true, options.Application, cancellationToken).ConfigureAwait(false);
            return Transaction(snapshot, options, rows, metadata, adds, "Append");
        }
    }

    /// <param name="where">SQL; null: all rows.</param>
    public static Task<CommitOutcome> OverwriteAsync(
        DeltaTable table, StagedRows rows, string? where, WriteOptions options, CancellationToken cancellationToken)
    {
        return where is null
            ? PlannedCommit.RunAsync(table, options, ReplaceAllAsync, cancellationToken)
            : options.Schema == SchemaMode.Replace
                ? throw new ArgumentException("a schema is replaced together with all rows, not with those of a condition", nameof(options))
                : PlannedCommit.RunAsync(table, options, ReplaceWhereAsync, cancellationToken);

        async Task<TableTransaction?> ReplaceAllAsync(Snapshot snapshot)
        {
            WriterFeatures.CheckRemovable(table.Path, snapshot);
            var metadata = await FitAsync(table, snapshot, rows, options.Schema, cancellationToken).ConfigureAwait(false);
            var removes = snapshot.Files.Select(file => table.DataFiles.Remove(file, dataChange: true));
            var adds = await table.DataFiles.AddAsync(rows, dataChange: true, options.Application, cancellationToken).ConfigureAwait(false);
            return Transaction(snapshot, options, rows, metadata, [.. removes, .. adds], "Overwrite") with { Reads = TransactionReads.WholeTable };
        }

        async Task<TableTransaction?> ReplaceWhereAsync(Snapshot snapshot)
        {
            WriterFeatures.CheckRemovable(table.Path, snapshot);
            var metadata = await FitAsync(table, snapshot, rows, options.Schema, cancellationToken).ConfigureAwait(false);
            var predicate = Predicate.Parse(where, snapshot.Schema);
            var rule = RowRules.Of("the condition of what is replaced", where, predicate);
            await CheckAsync(rows, snapshot.Schema, rule, cancellationToken).ConfigureAwait(false);
            using var rewrite = new RowRewrite(table, snapshot);
            await RowChanges.DeleteAsync(rewrite, predicate, cancellationToken).ConfigureAwait(false);
            if (rewrite.HasChanges) await rewrite.InsertAsync(rows, cancellationToken).ConfigureAwait(false);
            var adds = await table.DataFiles.AddAsync(rows, dataChange: true, options.Application, cancellationToken).ConfigureAwait(false);
            var actions = await rewrite.ActionsAsync(cancellationToken).ConfigureAwait(false);
            var transaction = Transaction(snapshot, options, rows, metadata, [.. actions, .. adds], "Overwrite");
            return transaction with
            {
                Reads = new() { Predicates = [predicate], Files = rewrite.ReadFiles },
                Parameters = new Dictionary<string, string>(transaction.Parameters, StringComparer.Ordinal) { ["predicate"] = Json([where]) },
            };
        }
    }

    /// <summary>Sees to it that the rows fit the table, before any of them is in the store.</summary>
    /// <returns>What the table's metadata becomes; null: it stays.</returns>
    private static async Task<Metadata?> FitAsync(
        DeltaTable table, Snapshot snapshot, StagedRows rows, SchemaMode mode, CancellationToken cancellationToken)
    {
        if (!rows.Options.PartitionColumns.SequenceEqual(snapshot.PartitionColumns, StringComparer.Ordinal))
        {
            throw new ArgumentException(
                $"the rows are divided by [{string.Join(", ", rows.Options.PartitionColumns)}], {table.Path} by "
                    + $"[{string.Join(", ", snapshot.PartitionColumns)}]; stage them as the table asks",
                nameof(rows));
        }
        var schema = mode == SchemaMode.Replace
            ? SchemaJson.Render(rows.Schema) is var replaced && replaced == snapshot.Metadata.SchemaString ? null : replaced
            : SchemaMerge.Fit(table.Path, snapshot.Metadata.SchemaString!, rows.Schema, mode);
        var columns = schema is null ? snapshot.Schema : SchemaJson.Parse(table.Path, schema);
        await CheckAsync(rows, columns, RowRules.Of(snapshot, columns), cancellationToken).ConfigureAwait(false);
        return schema is null ? null : snapshot.Metadata with { SchemaString = schema };
    }

    private static async Task CheckAsync(StagedRows rows, Schema schema, RowRules rules, CancellationToken cancellationToken)
    {
        if (rules.IsEmpty) return;
        await foreach (var batch in rows.ReadAsync(schema, cancellationToken).ConfigureAwait(false))
            using (batch) rules.Check(batch);
    }

    private static TableTransaction Transaction(
        Snapshot snapshot, WriteOptions options, StagedRows rows, Metadata? metadata, IReadOnlyList<LogLine> files, string mode)
    {
        var adds = files.Where(file => file.Add is not null).ToList();
        return new(snapshot, "WRITE", options, [.. metadata is null ? [] : new LogLine[] { new() { MetaData = metadata } }, .. files])
        {
            Parameters = new Dictionary<string, string>(StringComparer.Ordinal) { ["mode"] = mode, ["partitionBy"] = Json(snapshot.PartitionColumns) },
            Metrics = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["numFiles"] = $"{adds.Count}",
                ["numOutputRows"] = $"{rows.Rows}",
                ["numOutputBytes"] = adds.Sum(add => add.Add!.Size).ToString(CultureInfo.InvariantCulture),
                ["numRemovedFiles"] = $"{files.Count(file => file.Remove is not null)}",
            },
        };
    }

    private static string Json(IReadOnlyList<string> texts) => JsonSerializer.Serialize(texts, DeltaJson.Default.IReadOnlyListString);
}
