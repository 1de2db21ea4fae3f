using Apache.Arrow;
using ModelOps.Tables.Delta;
using ParquetSharp.Arrow;

namespace ModelOps.Data.Tests.Delta;

public sealed class RowChangeTests : IDisposable
{
    private static readonly Dictionary<string, ColumnUpdate> SetText = new() { ["text"] = rows => Texts(rows.Length, "new") };
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Delete_SomeRows_RewritesOnlyTheFilesThatHaveThem()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"), new Row(2, "b"));
        await table.AppendAsync(new Row(3, "c"), new Row(4, null));
        await table.AppendAsync(new Row(5, "e"));
        var before = (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files.Select(file => file.Path).ToList();

        Assert.Equal(4, WrittenTable.Version(await table.Table.DeleteAsync("id = 3 OR id = 5", cancellationToken: Cancel)));

        Assert.Equal([new(1, "a"), new(2, "b"), new(4, null)], await table.RowsAsync());
        var after = (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files.Select(file => file.Path).ToList();
        Assert.Equal(before[0], after[0]);
        Assert.Equal(2, after.Count);
        var info = CommitInfo.From((await table.CommitAsync(4))[0].CommitInfo!.Value);
        Assert.Equal(("DELETE", "2", "2", "1"), (info.Operation, info.OperationMetrics!["numDeletedRows"], info.OperationMetrics["numRemovedFiles"], info.OperationMetrics["numCopiedRows"]));
    }

    [Fact]
    public async Task Delete_NoRowMatches_CommitsNothing()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, null), new Row(9, "b"));
        // Comparing with null is not true, so that the row without a text stays.
        Assert.Equal(new CommitOutcome.Unchanged(1), await table.Table.DeleteAsync("text = 'a' OR id = 5", cancellationToken: Cancel));
        Assert.Equal(2, (await table.RowsAsync()).Count);
    }

    [Fact]
    public async Task Delete_ConditionThatIsNone_SaysWhy()
    {
        var table = await WrittenTable.CreateAsync(tables);
        var error = await Assert.ThrowsAsync<FormatException>(() => table.Table.DeleteAsync("nothing = 1", cancellationToken: Cancel));
        Assert.Contains("nothing", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeleteUpdateMerge_AppendOnlyTable_AreRefused()
    {
        var table = await WrittenTable.CreateAsync(tables, properties: ("delta.appendOnly", "true"));
        await table.AppendAsync(new Row(1, "a"));
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(2, "b"));
        await Assert.ThrowsAsync<DeltaException>(() => table.Table.DeleteAsync("id = 1", cancellationToken: Cancel));
        await Assert.ThrowsAsync<DeltaException>(() => table.Table.UpdateAsync("id = 1", SetText, cancellationToken: Cancel));
        await Assert.ThrowsAsync<DeltaException>(() => table.Table.MergeAsync(rows, new() { Keys = ["id"] }, cancellationToken: Cancel));
        await Assert.ThrowsAsync<DeltaException>(() => table.Table.RestoreAsync(0, cancellationToken: Cancel));
        WrittenTable.Version(await table.Table.MergeAsync(rows, new() { Keys = ["id"], UpdateMatched = false }, cancellationToken: Cancel));
        Assert.Equal([new(1, "a"), new(2, "b")], await table.RowsAsync());
    }

    [Fact]
    public async Task Update_PartitionColumn_MovesRowsToAnotherPartition()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true);
        await table.AppendAsync(new Row(1, "a", "x"), new Row(2, "b", "x"), new Row(3, "c", "y"));
        var set = new Dictionary<string, ColumnUpdate> { ["part"] = rows => Texts(rows.Length, "y"), ["text"] = rows => Texts(rows.Length, "moved") };
        WrittenTable.Version(await table.Table.UpdateAsync("id = 2", set, cancellationToken: Cancel));
        Assert.Equal([new(1, "a", "x"), new(2, "moved", "y"), new(3, "c", "y")], await table.RowsAsync());
    }

    [Fact]
    public async Task Update_ValuesThatDoNotFit_AreRefused()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"));
        foreach (var (column, update) in new (string, ColumnUpdate)[] { ("nothing", rows => rows.Column(0)), ("text", rows => rows.Column(0)), ("text", _ => Texts(7, "a")) })
            await Assert.ThrowsAsync<ArgumentException>(() => table.Table.UpdateAsync("id = 1", new Dictionary<string, ColumnUpdate> { [column] = update }, cancellationToken: Cancel));
        Assert.Equal([new(1, "a")], await table.RowsAsync());
    }

    [Fact]
    public async Task Merge_MatchedAndNew_AreUpdatedDeletedAndInserted()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true);
        await table.AppendAsync(new Row(1, "a", "x"), new Row(2, "b", "y"));
        await table.AppendAsync(new Row(3, "c", "x"), new Row(4, "d", "z"));
        using var source = await WrittenTable.StageAsync(table.Table, new Row(2, "B", "x"), new Row(3, "gone", "x"), new Row(7, "new", "z"));

        WrittenTable.Version(await table.Table.MergeAsync(source, new() { Keys = ["id"], DeleteMatchedWhere = "text = 'gone'" }, cancellationToken: Cancel));

        Assert.Equal([new(1, "a", "x"), new(2, "B", "x"), new(4, "d", "z"), new(7, "new", "z")], await table.RowsAsync());
    }

    [Fact]
    public async Task Merge_NullKeys_AreTheSameAsNone()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, null, "x"), new Row(2, "", "x"));
        using var source = await WrittenTable.StageAsync(table.Table, new Row(3, null, "y"), new Row(4, "", "y"));
        WrittenTable.Version(await table.Table.MergeAsync(source, new() { Keys = ["text"] }, cancellationToken: Cancel));
        Assert.Equal([new(1, null, "x"), new(3, null, "y"), new(4, "", "y")], await table.RowsAsync());
    }

    [Fact]
    public async Task Merge_SourceWithTheSameKeyTwice_NamesTheRows()
    {
        var table = await WrittenTable.CreateAsync(tables);
        using var source = await WrittenTable.StageAsync(table.Table, new Row(1), new Row(2), new Row(1));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => table.Table.MergeAsync(source, new() { Keys = ["id"] }, cancellationToken: Cancel));
        Assert.Contains("rows 1 and 3 of the source have the same id", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_WithChangeDataFeed_WritesWhatChangedBesideTheTable()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true, properties: ("delta.enableChangeDataFeed", "true"));
        await table.AppendAsync(new Row(1, "a", "x"), new Row(2, "b", "y"), new Row(3, "c", "x"));
        Assert.DoesNotContain(await table.CommitAsync(1), line => line.Cdc is not null);

        await table.Table.DeleteAsync("id = 1", cancellationToken: Cancel);
        await table.Table.UpdateAsync("id = 2", SetText, cancellationToken: Cancel);
        using var source = await WrittenTable.StageAsync(table.Table, new Row(3, "C", "x"), new Row(4, "d", "x"));
        await table.Table.MergeAsync(source, new() { Keys = ["id"] }, cancellationToken: Cancel);
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(5, "e", "y"));
        await table.Table.OverwriteAsync(rows, "part = 'y'", cancellationToken: Cancel);

        Assert.Equal(["delete 1 a x"], await ChangesAsync(table, 2));
        Assert.Equal(["update_postimage 2 new y", "update_preimage 2 b y"], await ChangesAsync(table, 3));
        Assert.Equal(["insert 4 d x", "update_postimage 3 C x", "update_preimage 3 c x"], await ChangesAsync(table, 4));
        Assert.Equal(["delete 2 new y", "insert 5 e y"], await ChangesAsync(table, 5));
        Assert.Equal([new(3, "C", "x"), new(4, "d", "x"), new(5, "e", "y")], await table.RowsAsync());
    }

    [Fact]
    public async Task Delete_AnotherWriterAddsMatchingRowsFirst_IsPlannedAgainAndDeletesThemToo()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"), new Row(2, "b"));
        var racing = new RacingStore(tables.Store, TestTables.LogKey(2), () => table.AppendAsync(new Row(1, "again"), new Row(3, "c")));
        var mine = (await DeltaTable.OpenAsync(racing, "t", cancellationToken: Cancel))!;

        Assert.Equal(3, WrittenTable.Version(await mine.DeleteAsync("id = 1", cancellationToken: Cancel)));

        Assert.Equal([new(2, "b"), new(3, "c")], await table.RowsAsync());
        Assert.Equal(await FilesAsync(), await NamedFilesAsync(table));
    }

    [Fact]
    public async Task Delete_AnotherWriterAddsMatchingRowsFirstAndNoReplans_IsAConflictThatCarriesTheTransaction()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"), new Row(2, "b"));
        var racing = new RacingStore(tables.Store, TestTables.LogKey(2), () => table.AppendAsync(new Row(1, "again")));
        var mine = (await DeltaTable.OpenAsync(racing, "t", cancellationToken: Cancel))!;

        var conflict = Assert.IsType<CommitOutcome.Conflict>(await mine.DeleteAsync("id = 1", new() { MaxReplans = 0 }, Cancel));

        Assert.Equal((ConflictKind.ConcurrentAppend, 1, "DELETE"), (conflict.Kind, conflict.Transaction.ReadVersion, conflict.Transaction.Operation));
        Assert.Equal(await FilesAsync(), await NamedFilesAsync(table));
    }

    [Fact]
    public async Task Delete_AnotherWriterChangesOtherRowsFirst_GoesOnTop()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"), new Row(2, "b"));
        await table.AppendAsync(new Row(11, "a"), new Row(12, "b"));
        var racing = new RacingStore(tables.Store, TestTables.LogKey(3), () => table.Table.DeleteAsync("id = 11", cancellationToken: Cancel));
        var mine = (await DeltaTable.OpenAsync(racing, "t", cancellationToken: Cancel))!;
        Assert.Equal(4, WrittenTable.Version(await mine.DeleteAsync("id = 1", new() { MaxReplans = 0 }, Cancel)));
        Assert.Equal([new(2, "b"), new(12, "b")], await table.RowsAsync());
    }

    private static StringArray Texts(int count, string text)
    {
        var texts = new StringArray.Builder();
        for (var i = 0; i < count; i++) texts.Append(text);
        return texts.Build();
    }

    private static string Text(RecordBatch batch, string column, int row) => ((StringArray)batch.Column(column)).GetString(row);

    private async Task<List<string>> ChangesAsync(WrittenTable table, long version)
    {
        var changes = new List<string>();
        foreach (var cdc in (await table.CommitAsync(version)).Select(line => line.Cdc).OfType<AddChangeFile>())
        {
            Assert.StartsWith("_change_data/part=", cdc.Path, StringComparison.Ordinal);
            using var reader = new FileReader(tables.Store.LocalPath($"t/{cdc.Path}")!);
            using var batches = reader.GetRecordBatchReader();
            while (await batches.ReadNextRecordBatchAsync(Cancel) is { } batch)
                using (batch)
                    for (var row = 0; row < batch.Length; row++)
                        changes.Add($"{Text(batch, "_change_type", row)} {((Int64Array)batch.Column("id")).GetValue(row)} {Text(batch, "text", row)} {cdc.PartitionValues["part"]}");
        }
        return [.. changes.Order(StringComparer.Ordinal)];
    }

    /// <summary>The table's data files in the store.</summary>
    private async Task<List<string>> FilesAsync() =>
        await tables.Store.ListAsync("t/part", cancellationToken: Cancel).Select(file => file.Key["t/".Length..]).ToListAsync(Cancel);

    /// <summary>Those that some commit names.</summary>
    private static async Task<List<string>> NamedFilesAsync(WrittenTable table)
    {
        var last = (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Version;
        var files = new List<string>();
        for (var version = 0L; version <= last; version++)
            files.AddRange((await table.CommitAsync(version)).Select(line => line.Add?.Path).OfType<string>());
        return [.. files.Order(StringComparer.Ordinal)];
    }
}
