using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

public sealed class DeltaTableTests : IDisposable
{
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Create_NewPath_IsVersionZeroWithoutRows()
    {
        var table = await tables.CreateAsync();
        var snapshot = await table.SnapshotAsync(cancellationToken: Cancel);
        Assert.Equal(0, snapshot.Version);
        Assert.Empty(snapshot.Files);
        Assert.Equal(["id", "text"], snapshot.Schema.FieldsList.Select(field => field.Name));
        Assert.Empty(await TestTables.RowsAsync(table));
    }

    [Fact]
    public async Task Create_WhereATableIs_IsNullAndLeavesIt()
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, (1, "a"));
        Assert.Null(await DeltaTable.CreateAsync(tables.Store, "t", TestTables.Schema, cancellationToken: Cancel));
        Assert.Equal([(1, "a")], await TestTables.RowsAsync(table));
    }

    [Fact]
    public async Task Open_NoTable_IsNull() => Assert.Null(await DeltaTable.OpenAsync(tables.Store, "t", cancellationToken: Cancel));

    [Fact]
    public async Task AppendAndOverwrite_EachVersion_ReadsBackItsRows()
    {
        await tables.CreateAsync();
        var table = (await DeltaTable.OpenAsync(tables.Store, "t", cancellationToken: Cancel))!;
        Assert.Equal(1, await TestTables.AppendAsync(table, (1, "a"), (2, null)));
        Assert.Equal(2, await TestTables.AppendAsync(table, (3, "é😀")));
        Assert.Equal(3, await TestTables.OverwriteAsync(table, (4, "d")));
        Assert.Equal(4, await TestTables.OverwriteAsync(table));

        Assert.Empty(await TestTables.RowsAsync(table, 0));
        Assert.Equal([(1, "a"), (2, null)], await TestTables.RowsAsync(table, 1));
        Assert.Equal([(1, "a"), (2, null), (3, "é😀")], await TestTables.RowsAsync(table, 2));
        Assert.Equal([(4, "d")], await TestTables.RowsAsync(table, 3));
        Assert.Empty(await TestTables.RowsAsync(table));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-1)]
    public async Task Snapshot_NoSuchVersion_NamesItAndTheLatest(long version)
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, (1, "a"));
        var error = await Assert.ThrowsAsync<DeltaException>(() => table.SnapshotAsync(version, Cancel));
        Assert.Contains($"no version {version}", error.Message, StringComparison.Ordinal);
        Assert.Contains("latest is 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Append_OtherSchema_ThrowsAndWritesNothing()
    {
        var table = await tables.CreateAsync();
        using var other = new StagedRows(new Schema([new Field("id", StringType.Default, nullable: false)], metadata: null));
        await Assert.ThrowsAsync<ArgumentException>(() => table.AppendAsync(other, cancellationToken: Cancel));
        Assert.Equal([TestTables.LogKey(0)], await tables.Store.ListAsync("", cancellationToken: Cancel).Select(item => item.Key).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Append_OthersCommitFirst_LandsOnTopOfTheirs()
    {
        var mine = (await DeltaTable.CreateAsync(
            new RacingStore(tables.Store, TestTables.LogKey(1), () => AppendElsewhereAsync("first")), "t", TestTables.Schema, cancellationToken: Cancel))!;

        Assert.Equal(2, await TestTables.AppendAsync(mine, (2, "second")));

        Assert.Equal([(1, "first"), (2, "second")], await TestTables.RowsAsync(mine));
    }

    [Fact]
    public async Task Overwrite_OthersAppendFirst_ReplacesTheirRowsToo()
    {
        var mine = (await DeltaTable.CreateAsync(
            new RacingStore(tables.Store, TestTables.LogKey(1), () => AppendElsewhereAsync("first")), "t", TestTables.Schema, cancellationToken: Cancel))!;

        Assert.Equal(2, await TestTables.OverwriteAsync(mine, (2, "second")));

        Assert.Equal([(2, "second")], await TestTables.RowsAsync(mine));
    }

    [Fact]
    public async Task Append_OthersChangeTheSchemaFirst_IsAConflictThatLeavesNoFile()
    {
        const string OtherSchema = """{"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[]}}""";
        var mine = (await DeltaTable.CreateAsync(
            new RacingStore(tables.Store, TestTables.LogKey(1), () => tables.PutAsync(TestTables.LogKey(1), OtherSchema)),
            "t", TestTables.Schema, cancellationToken: Cancel))!;
        using var rows = TestTables.Stage((1, "a"));

        var conflict = Assert.IsType<CommitOutcome.Conflict>(await mine.AppendAsync(rows, cancellationToken: Cancel));

        Assert.Contains("schema", conflict.Reason, StringComparison.Ordinal);
        Assert.Equal(
            [TestTables.LogKey(0), TestTables.LogKey(1)],
            await tables.Store.ListAsync("", cancellationToken: Cancel).Select(item => item.Key).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Append_AppendOnlyTable_TakesRowsButNoOverwrite()
    {
        var table = await tables.CreateAsync();
        var log = await tables.TextAsync(TestTables.LogKey(0));
        await tables.PutAsync(TestTables.LogKey(0), log.Replace("\"configuration\":{}", "\"configuration\":{\"delta.appendOnly\":\"true\"}", StringComparison.Ordinal));
        await TestTables.AppendAsync(table, (1, "a"));
        var error = await Assert.ThrowsAsync<DeltaException>(() => TestTables.OverwriteAsync(table, (2, "b")));
        Assert.Contains("append-only", error.Message, StringComparison.Ordinal);
        Assert.Equal([(1, "a")], await TestTables.RowsAsync(table));
    }

    [Fact]
    public async Task Append_Stats_SayRowsBoundsAndNulls()
    {
        var table = await tables.CreateAsync();
        var longText = new string('z', 40);
        await TestTables.AppendAsync(table, (7, "b"), (-3, null), (5, longText));
        var file = Assert.Single((await table.SnapshotAsync(cancellationToken: Cancel)).Files);
        Assert.Equal(
            $$$"""{"numRecords":3,"minValues":{"id":-3,"text":"b"},"maxValues":{"id":7,"text":"{{{longText[..32]}}}\uDBFF\uDFFF"},"nullCount":{"id":0,"text":1}}""",
            file.Stats);
        Assert.Equal(file.Size, (await tables.Store.HeadAsync($"t/{file.Path}", Cancel))!.Size);
    }

    [Fact]
    public async Task Read_DataFileGone_NamesIt()
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, (1, "a"));
        var file = (await table.SnapshotAsync(cancellationToken: Cancel)).Files[0];
        await tables.Store.DeleteAsync($"t/{file.Path}", Cancel);
        var error = await Assert.ThrowsAsync<DeltaException>(() => TestTables.RowsAsync(table));
        Assert.Contains(file.Path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_DataFileBroken_NamesIt()
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, (1, "a"));
        var file = (await table.SnapshotAsync(cancellationToken: Cancel)).Files[0];
        await tables.PutAsync($"t/{file.Path}", "no parquet");
        var error = await Assert.ThrowsAsync<DeltaException>(() => TestTables.RowsAsync(table));
        Assert.Contains(file.Path, error.Message, StringComparison.Ordinal);
    }

    private async Task<bool> AppendElsewhereAsync(string text)
    {
        var other = (await DeltaTable.OpenAsync(tables.Store, "t", cancellationToken: Cancel))!;
        return await TestTables.AppendAsync(other, (1, text)) == 1;
    }
}
