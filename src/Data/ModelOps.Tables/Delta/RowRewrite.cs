using System.Diagnostics.CodeAnalysis;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Files written anew with some of their rows changed (copy on write), and what changed, row by row, where the table keeps that
/// (PROTOCOL.md, "Change Data Files").
/// </summary>
internal sealed class RowRewrite : IDisposable
{
    public const string ChangeTypeColumn = "_change_type";
    private readonly DeltaTable table;
    private readonly List<AddFile> read = [];
    private readonly List<AddFile> removed = [];
    private readonly StagedRows rows;
    private readonly StagedRows? changes;
    private readonly RowRules rules;

    public RowRewrite(DeltaTable table, Snapshot snapshot)
    {
        (this.table, Snapshot) = (table, snapshot);
        var options = StagedRows.OptionsFor(snapshot);
        rows = new(snapshot.Schema, options);
        rules = RowRules.Of(snapshot, snapshot.Schema);
        if (new TableProperties(snapshot.Metadata.Configuration).HasChangeDataFeed) changes = new(WithChangeType(snapshot.Schema), options);
    }

    public Snapshot Snapshot { get; }

    public IReadOnlyList<AddFile> ReadFiles => read;

    public long Copied { get; private set; }

    public long Deleted { get; private set; }

    public long Updated { get; private set; }

    public long Inserted { get; private set; }

    public bool HasChanges => Deleted + Updated + Inserted > 0;

    /// <summary>Goes through the files; those of which no row changes stay as they are.</summary>
    /// <param name="columns">What <paramref name="changed"/> looks at.</param>
    /// <param name="changed">The numbers of a batch's rows that change, in order.</param>
    /// <param name="change">What is to become of them: says it by the methods below.</param>
    public async Task RewriteAsync(
        IEnumerable<AddFile> files,
        IEnumerable<string> columns,
        Func<RecordBatch, int[]> changed,
        Action<RecordBatch, int[]> change,
        CancellationToken cancellationToken)
    {
        var looked = columns.ToList();
        foreach (var file in files)
        {
            read.Add(file);
            // Twice, so that a file whose rows all stay is not written again.
            if (!await AnyAsync(file, looked, changed, cancellationToken).ConfigureAwait(false)) continue;
            removed.Add(file);
            await foreach (var batch in table.ReadFilesAsync(Snapshot, [file], columns: null, cancellationToken).ConfigureAwait(false))
            {
                using (batch)
                {
                    var numbers = changed(batch);
                    Keep(batch, numbers);
                    if (numbers.Length > 0) change(batch, numbers);
                }
            }
        }
    }

    public void Delete(RecordBatch batch, int[] numbers)
    {
        Deleted += numbers.Length;
        if (changes is null) return;
        using var gone = RowSelection.Take(batch, numbers);
        Record(gone, "delete");
    }

    /// <param name="before">In the order of the rows after.</param>
    public void Update(RecordBatch before, RecordBatch after)
    {
        rules.Check(after);
        Updated += after.Length;
        rows.Write(after);
        Record(before, "update_preimage");
        Record(after, "update_postimage");
    }

    public void Insert(RecordBatch batch)
    {
        rules.Check(batch);
        Inserted += batch.Length;
        rows.Write(batch);
        Record(batch, "insert");
    }

    /// <summary>Rows that are added beside this: only what changed is kept of them.</summary>
    public async Task InsertAsync(StagedRows staged, CancellationToken cancellationToken)
    {
        if (changes is null) return;
        await foreach (var batch in staged.ReadAsync(Snapshot.Schema, cancellationToken).ConfigureAwait(false))
            using (batch) Record(batch, "insert");
    }

    /// <summary>Puts the files in the store.</summary>
    public async Task<IReadOnlyList<LogLine>> ActionsAsync(CancellationToken cancellationToken) =>
    [
        .. removed.Select(file => table.DataFiles.Remove(file, dataChange: true)),
        .. await table.DataFiles.AddAsync(rows, dataChange: true, cancellationToken).ConfigureAwait(false),
        .. changes is null ? [] : await table.DataFiles.AddChangesAsync(changes, cancellationToken).ConfigureAwait(false),
    ];

    /// <returns>null: no row changes.</returns>
    public async Task<TableTransaction?> ToTransactionAsync(
        string operation, WriteOptions options, Dictionary<string, string> parameters, IReadOnlyList<Predicate> predicates,
        CancellationToken cancellationToken)
    {
        if (!HasChanges) return null;
        var actions = await ActionsAsync(cancellationToken).ConfigureAwait(false);
        return new(Snapshot, operation, options, actions)
        {
            Reads = new() { Predicates = predicates, Files = read },
            Parameters = parameters,
            Metrics = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["numRemovedFiles"] = $"{removed.Count}",
                ["numAddedFiles"] = $"{actions.Count(action => action.Add is not null)}",
                ["numAddedChangeFiles"] = $"{actions.Count(action => action.Cdc is not null)}",
                ["numCopiedRows"] = $"{Copied}",
                ["numDeletedRows"] = $"{Deleted}",
                ["numUpdatedRows"] = $"{Updated}",
                ["numInsertedRows"] = $"{Inserted}",
            },
        };
    }

    public void Dispose()
    {
        rows.Dispose();
        changes?.Dispose();
    }

    private async Task<bool> AnyAsync(
        AddFile file, IReadOnlyList<string> columns, Func<RecordBatch, int[]> changed, CancellationToken cancellationToken)
    {
        await foreach (var batch in table.ReadFilesAsync(Snapshot, [file], columns, cancellationToken).ConfigureAwait(false))
            using (batch)
                if (changed(batch).Length > 0) return true;
        return false;
    }

    private void Keep(RecordBatch batch, int[] changed)
    {
        Copied += batch.Length - changed.Length;
        if (changed.Length == batch.Length) return;
        if (changed.Length == 0)
        {
            rows.Write(batch);
            return;
        }
        var set = changed.ToHashSet();
        using var kept = RowSelection.Take(batch, Enumerable.Range(0, batch.Length).Where(row => !set.Contains(row)).ToArray());
        rows.Write(kept);
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the columns are those of the caller's batch")]
    private void Record(RecordBatch batch, string type)
    {
        if (changes is null || batch.Length == 0) return;
        var field = changes.Schema.GetFieldByName(ChangeTypeColumn);
        var types = ArrowArrayFactory.BuildArray(ConstantColumn.Build(field, type, batch.Length)!);
        changes.Write(new(changes.Schema, [.. batch.Arrays, types], batch.Length));
    }

    private static Schema WithChangeType(Schema schema) =>
        new([.. schema.FieldsList, new Field(ChangeTypeColumn, StringType.Default, nullable: true)], schema.Metadata);
}
