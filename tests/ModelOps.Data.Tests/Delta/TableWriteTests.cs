using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Data.Tests.Registry;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

public sealed class TableWriteTests : IDisposable
{
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Append_PartitionedTable_DividesTheRowsIntoFoldersOfHive()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true);
        Row[] rows = [new(1, "a", "x"), new(2, "b", "a/b é%"), new(3, "c"), new(4, "d", "x"), new(5, "e", new string('ä', 200)), new(6, "f", "..")];
        await table.AppendAsync(rows);

        var files = (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Files;
        Assert.Equal(["x", "a/b é%", null, new string('ä', 200), ".."], files.Select(file => file.PartitionValues["part"]));
        Assert.StartsWith("part=x/part-", files[0].Path, StringComparison.Ordinal);
        Assert.StartsWith("part=a%252Fb%20%C3%A9%2525/", files[1].Path, StringComparison.Ordinal);
        Assert.StartsWith("part=__HIVE_DEFAULT_PARTITION__/", files[2].Path, StringComparison.Ordinal);
        Assert.DoesNotContain("part", files[0].Stats, StringComparison.Ordinal);
        Assert.Equal(rows, await table.RowsAsync());
    }

    [Fact]
    public async Task Append_EmptyTextInAPartitionColumn_IsRefused()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true);
        var error = await Assert.ThrowsAsync<ArgumentException>(() => WrittenTable.StageAsync(table.Table, new Row(1, "a", "")));
        Assert.Contains("part has an empty text", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(PartitionColumns), DisableDiscoveryEnumeration = true)]
    public async Task Append_PartitionColumnOfEachType_IsReadBackByDuckDbAndByUs(IArrowArray column)
    {
        var schema = new Schema([new Field("id", Int64Type.Default, nullable: false), new Field("p", column.Data.DataType, nullable: true)], metadata: null);
        var table = (await DeltaTable.CreateAsync(tables.Store, "t", schema, new() { PartitionColumns = ["p"] }, cancellationToken: Cancel))!;
        using var staged = new StagedRows(schema, new() { PartitionColumns = ["p"] });
        staged.Write(new RecordBatch(schema, [new Int64Array.Builder().AppendRange([0, 1]).Build(), column], 2));
        await table.AppendAsync(staged, cancellationToken: Cancel);

        var read = new List<string>();
        await foreach (var batch in table.ReadAsync(await table.SnapshotAsync(cancellationToken: Cancel), cancellationToken: Cancel))
            using (batch)
                for (var row = 0; row < batch.Length; row++) read.Add(batch.Column("p").IsNull(row) ? "null" : PartitionPath.TextOf(batch.Column("p"), row, "p"));
        Assert.Equal([PartitionPath.TextOf(column, 0, "p"), "null"], read);
        if (column is StringArray or not BinaryArray) await ForeignReaders.AssertAgreeAsync(tables.Store, table);
    }

    public static TheoryData<IArrowArray> PartitionColumns =>
    [
        new StringArray.Builder().Append("'\"=%").AppendNull().Build(),
        new BinaryArray.Builder().Append([0, 255, 65]).AppendNull().Build(),
        new BooleanArray.Builder().Append(false).AppendNull().Build(),
        new Int8Array.Builder().Append(-128).AppendNull().Build(),
        new Int16Array.Builder().Append(-5).AppendNull().Build(),
        new Int32Array.Builder().Append(7).AppendNull().Build(),
        new Int64Array.Builder().Append(long.MinValue).AppendNull().Build(),
        new FloatArray.Builder().Append(0.1f).AppendNull().Build(),
        new DoubleArray.Builder().Append(-1e300).AppendNull().Build(),
        new Date32Array.Builder().Append(new DateOnly(1969, 12, 31)).AppendNull().Build(),
        new TimestampArray.Builder(new TimestampType(TimeUnit.Microsecond, "UTC")).Append(DateTimeOffset.UnixEpoch.AddTicks(-10)).AppendNull().Build(),
        new TimestampArray.Builder(new TimestampType(TimeUnit.Microsecond, (string?)null)).Append(DateTimeOffset.UnixEpoch.AddTicks(10)).AppendNull().Build(),
        new Decimal128Array.Builder(new Decimal128Type(20, 3)).Append(-1.25m).AppendNull().Build(),
    ];

    [Fact]
    public async Task OverwriteWhere_SomeRows_AreReplacedAndOthersStay()
    {
        var table = await WrittenTable.CreateAsync(tables, isPartitioned: true);
        await table.AppendAsync(new Row(1, "a", "x"), new Row(2, "b", "y"), new Row(3, "c", "x"));
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(4, "d", "x"), new Row(5, "e", "x"));
        WrittenTable.Version(await table.Table.OverwriteAsync(rows, "part = 'x'", cancellationToken: Cancel));
        Assert.Equal([new(2, "b", "y"), new(4, "d", "x"), new(5, "e", "x")], await table.RowsAsync());
    }

    [Fact]
    public async Task OverwriteWhere_NewRowOutsideOfTheCondition_IsRefusedAndNothingChanges()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a", "x"));
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(4, "d", "x"), new Row(5, "e", "y"));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => table.Table.OverwriteAsync(rows, "part = 'x'", cancellationToken: Cancel));
        Assert.Contains("1 of 2 rows break the condition of what is replaced: part = 'x'", error.Message, StringComparison.Ordinal);
        Assert.Equal([new(1, "a", "x")], await table.RowsAsync());
    }

    [Fact]
    public async Task Append_ColumnsThatDoNotFit_AreAllNamed()
    {
        var table = await WrittenTable.CreateAsync(tables);
        var schema = new Schema(
            [
                new Field("ID", Int64Type.Default, nullable: false), new Field("text", Int32Type.Default, nullable: true),
                new Field("more", StringType.Default, nullable: true),
            ],
            metadata: null);
        using var rows = new StagedRows(schema);
        var error = await Assert.ThrowsAsync<ArgumentException>(() => table.Table.AppendAsync(rows, cancellationToken: Cancel));
        Assert.Contains("column ID is called id in the table", error.Message, StringComparison.Ordinal);
        Assert.Contains("column text is string in the table and integer in the rows", error.Message, StringComparison.Ordinal);
        Assert.Contains("column more is not in the table", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Append_WithoutANullableColumn_ReadsNulls()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await AppendAsync(table.Table, new([new Field("id", Int64Type.Default, nullable: false)], metadata: null), new(), new Int64Array.Builder().Append(1).Build());
        Assert.Equal([new(1)], await table.RowsAsync());
    }

    [Fact]
    public async Task Append_MergingTheSchema_AddsColumnsWidensNullsAndKeepsOldRows()
    {
        var nested = new StructType([new Field("a", Int32Type.Default, nullable: false)]);
        var schema = new Schema([new Field("id", Int64Type.Default, nullable: false), new Field("s", nested, nullable: true)], metadata: null);
        var table = (await DeltaTable.CreateAsync(tables.Store, "t", schema, cancellationToken: Cancel))!;
        await AppendAsync(table, schema, new(), new Int64Array.Builder().Append(1).Build(), new StructArray(nested, 1, [new Int32Array.Builder().Append(7).Build()], ArrowBuffer.Empty));

        var wide = new StructType([new Field("a", Int32Type.Default, nullable: true), new Field("b", StringType.Default, nullable: false)]);
        var wider = new Schema(
            [new Field("id", Int64Type.Default, nullable: true), new Field("s", wide, nullable: true), new Field("c", BooleanType.Default, nullable: false)], metadata: null);
        IArrowArray[] columns =
        [
            new Int64Array.Builder().AppendNull().Build(),
            new StructArray(wide, 1, [new Int32Array.Builder().AppendNull().Build(), new StringArray.Builder().Append("b").Build()], ArrowBuffer.Empty),
            new BooleanArray.Builder().Append(true).Build(),
        ];
        await Assert.ThrowsAsync<ArgumentException>(() => AppendAsync(table, wider, new(), columns));
        await AppendAsync(table, wider, new() { Schema = SchemaMode.Merge }, columns);

        var snapshot = await table.SnapshotAsync(cancellationToken: Cancel);
        Assert.Equal(
            """{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}},{"name":"s","type":{"type":"struct","fields":[{"name":"a","type":"integer","nullable":true,"metadata":{}},{"name":"b","type":"string","nullable":true,"metadata":{}}]},"nullable":true,"metadata":{}},{"name":"c","type":"boolean","nullable":true,"metadata":{}}]}""",
            SchemaJson.Render(snapshot.Schema));
        var ids = new List<long?>();
        await foreach (var batch in table.ReadAsync(snapshot, cancellationToken: Cancel))
            using (batch)
                for (var row = 0; row < batch.Length; row++) ids.Add(((Int64Array)batch.Column("id")).GetValue(row));
        Assert.Equal([1, null], ids);
        Assert.Equal(["id", "s"], (await table.SnapshotAsync(1, Cancel)).Schema.FieldsList.Select(field => field.Name));
    }

    [Fact]
    public async Task Overwrite_ReplacingTheSchema_LeavesOldVersionsAsTheyWere()
    {
        var table = await WrittenTable.CreateAsync(tables);
        await table.AppendAsync(new Row(1, "a"));
        var schema = new Schema([new Field("other", Int32Type.Default, nullable: false)], metadata: null);
        using var rows = new StagedRows(schema);
        using (var batch = new RecordBatch(schema, [new Int32Array.Builder().Append(1).Build()], 1)) rows.Write(batch);
        WrittenTable.Version(await table.Table.OverwriteAsync(rows, new WriteOptions { Schema = SchemaMode.Replace }, Cancel));
        await ForeignReaders.AssertAgreeAsync(tables.Store, table.Table);
        Assert.Equal(["other"], (await table.Table.SnapshotAsync(cancellationToken: Cancel)).Schema.FieldsList.Select(field => field.Name));
        Assert.Equal([new(1, "a")], await table.RowsAtAsync(1));
    }

    [Fact]
    public async Task Append_RowsThatBreakACheckConstraint_AreRefusedAndNamed()
    {
        var table = await WrittenTable.CreateAsync(tables, properties: [("delta.constraints.positive", "id > 0"), ("delta.constraints.known", "part IN ('x', 'y')")]);
        await table.AppendAsync(new Row(1, "a", "x"));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => table.AppendAsync(new Row(2, "a", "y"), new Row(-1, "b", "y")));
        Assert.Contains("1 of 2 rows break the constraint positive: id > 0", error.Message, StringComparison.Ordinal);
        // Unknown is not true: a null breaks it too.
        await Assert.ThrowsAsync<ArgumentException>(() => table.AppendAsync(new Row(2)));
        await Assert.ThrowsAsync<ArgumentException>(() => table.Table.UpdateAsync(
            "id = 1", new Dictionary<string, ColumnUpdate> { ["id"] = rows => new Int64Array.Builder().AppendRange(Enumerable.Repeat(-1L, rows.Length)).Build() }, cancellationToken: Cancel));
        Assert.Equal([new(1, "a", "x")], await table.RowsAsync());
        Assert.Equal(2, (await tables.Store.ListAsync("t/_delta_log/", cancellationToken: Cancel).ToListAsync(Cancel)).Count);
    }

    [Fact]
    public async Task Append_NullInAColumnThatMustNotBe_IsRefused()
    {
        using var staged = new StagedRows(TestTables.Schema);
        using var batch = new RecordBatch(
            TestTables.Schema, [new Int64Array.Builder().Append(1).AppendNull().Build(), new StringArray.Builder().Append("a").Append("b").Build()], 2);
        var error = Assert.Throws<ArgumentException>(() => staged.Write(batch));
        Assert.Contains("id", error.Message, StringComparison.Ordinal);
        await Task.CompletedTask;
    }

    [Fact]
    public async Task Append_SameApplicationVersionTwice_IsCommittedOnce()
    {
        var table = await WrittenTable.CreateAsync(tables);
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(1, "a"));
        var options = new WriteOptions { Application = new("ingestion", 5) };
        Assert.Equal(1, WrittenTable.Version(await table.Table.AppendAsync(rows, options, Cancel)));
        Assert.Equal(new CommitOutcome.Unchanged(1), await table.Table.AppendAsync(rows, options, Cancel));
        Assert.Equal(2, WrittenTable.Version(await table.Table.AppendAsync(rows, new() { Application = new("ingestion", 6) }, Cancel)));
        Assert.Equal(2, (await table.RowsAsync()).Count);
    }

    [Fact]
    public async Task Append_CommitInfo_SaysWhoAndHow()
    {
        var table = await WrittenTable.CreateAsync(tables);
        using var rows = await WrittenTable.StageAsync(table.Table, new Row(1, "a"), new Row(2));
        await table.Table.AppendAsync(rows, new() { User = "ada", Job = "ingest-7", TraceId = "4bf92f3577b34da6a3ce929d0e0e4736" }, Cancel);
        var info = CommitInfo.From((await table.CommitAsync(1))[0].CommitInfo!.Value);
        Assert.Equal("WRITE", info.Operation);
        Assert.Equal("Append", info.OperationParameters!["mode"]);
        Assert.Equal("2", info.OperationMetrics!["numOutputRows"]);
        Assert.Equal(("ada", "ingest-7", "4bf92f3577b34da6a3ce929d0e0e4736"), (info.UserName, info.Job!.JobId, info.TraceId));
        Assert.Equal((0, true, "Serializable", "ModelOps"), (info.ReadVersion!.Value, info.IsBlindAppend!.Value, info.IsolationLevel, info.EngineInfo));
    }

    [Fact]
    public async Task Commit_WithInCommitTimestamps_GrowsFromVersionToVersionThoughTheClockStands()
    {
        var clock = new ManualTime(DateTimeOffset.UnixEpoch.AddDays(1));
        var table = await WrittenTable.CreateAsync(tables, clock: clock, properties: ("delta.enableInCommitTimestamps", "true"));
        for (var i = 1; i <= 3; i++) await table.AppendAsync(new Row(i));
        var times = new List<long?>();
        for (var version = 0; version <= 3; version++) times.Add(CommitInfo.From((await table.CommitAsync(version))[0].CommitInfo!.Value).InCommitTimestamp);
        Assert.Equal([86_400_000, 86_400_001, 86_400_002, 86_400_003], times);
        Assert.Equal(3, (await table.RowsAsync()).Count);
    }

    [Fact]
    public async Task Create_OptionsThatDoNotFit_AreAllNamed()
    {
        var options = new TableOptions
        {
            PartitionColumns = ["part", "nothing", "part"],
            Properties = new Dictionary<string, string>
            {
                ["delta.checkpointInterval"] = "never",
                ["delta.enableDeletionVectors"] = "true",
                ["delta.logRetentionDuration"] = "30",
                ["mine"] = "any",
            },
        };
        var error = await Assert.ThrowsAsync<ArgumentException>(() => DeltaTable.CreateAsync(tables.Store, "t", WrittenTable.Schema, options, cancellationToken: Cancel));
        Assert.Contains("delta.checkpointInterval cannot be 'never'", error.Message, StringComparison.Ordinal);
        Assert.Contains("delta.enableDeletionVectors is not supported", error.Message, StringComparison.Ordinal);
        Assert.Contains("delta.logRetentionDuration cannot be '30'", error.Message, StringComparison.Ordinal);
        Assert.Contains("the partition column part is named twice", error.Message, StringComparison.Ordinal);
        Assert.Contains("the partition column nothing is no column", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("mine", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stats_MoreColumnsThanAreIndexed_KnowOnlyTheFirst()
    {
        var schema = new Schema(Enumerable.Range(0, 40).Select(i => new Field($"c{i}", Int64Type.Default, nullable: false)), metadata: null);
        foreach (var (setting, known) in new[] { ((string?)null, 32), ("2", 2), ("-1", 40), ("0", 0) })
        {
            var path = $"t{setting}";
            var properties = setting is null ? [] : new Dictionary<string, string> { ["delta.dataSkippingNumIndexedCols"] = setting };
            var table = (await DeltaTable.CreateAsync(tables.Store, path, schema, new() { Properties = properties }, cancellationToken: Cancel))!;
            using var staged = new StagedRows(schema, StagedRows.OptionsFor(await table.SnapshotAsync(cancellationToken: Cancel)));
            using (var batch = new RecordBatch(schema, schema.FieldsList.Select(_ => new Int64Array.Builder().Append(1).Build()), 1)) staged.Write(batch);
            await table.AppendAsync(staged, cancellationToken: Cancel);
            using var stats = System.Text.Json.JsonDocument.Parse((await table.SnapshotAsync(cancellationToken: Cancel)).Files[0].Stats!);
            Assert.Equal(known, stats.RootElement.GetProperty("minValues").EnumerateObject().Count());
        }
    }

    private static async Task AppendAsync(DeltaTable table, Schema schema, WriteOptions options, params IArrowArray[] columns)
    {
        using var staged = new StagedRows(schema);
        staged.Write(new RecordBatch(schema, columns, columns[0].Length));
        WrittenTable.Version(await table.AppendAsync(staged, options, Cancel));
    }
}
