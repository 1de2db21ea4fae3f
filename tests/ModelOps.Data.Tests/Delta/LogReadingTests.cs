using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Delta;
using ParquetSharp.Arrow;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Ways in which other writers leave a log and its files, beside those of the golden tables.</summary>
public sealed class LogReadingTests : IDisposable
{
    private const string Checkpoint = "t/_delta_log/00000000000000000003.checkpoint";
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Snapshot_MultiPartCheckpoint_IsReadAndAMissingPartIsNamed()
    {
        var (table, classic) = await CheckpointedTableAsync();
        await tables.PutAsync($"{Checkpoint}.0000000001.0000000002.parquet", classic);
        var error = await Assert.ThrowsAsync<DeltaException>(() => table.SnapshotAsync(cancellationToken: Cancel));
        Assert.Contains("lacks 00000000000000000003.checkpoint.0000000002.0000000002.parquet", error.Message, StringComparison.Ordinal);
        await tables.PutAsync($"{Checkpoint}.0000000002.0000000002.parquet", classic);
        Assert.Equal([(1, "a"), (2, "b"), (3, "c"), (4, "d")], await TestTables.RowsAsync(table));
    }

    [Theory]
    [InlineData("side.parquet")]
    [InlineData("s3://elsewhere/_delta_log/_sidecars/side.parquet")] // where they are is not what the path says
    public async Task Snapshot_V2CheckpointAsJsonWithSidecar_IsRead(string sidecar)
    {
        var (table, classic) = await CheckpointedTableAsync();
        await tables.PutAsync($"{Checkpoint}.80a083e8-7026-4e79-81be-64bd76c43a11.json", $$$$"""
            {"checkpointMetadata":{"version":3}}
            {"sidecar":{"path":"{{{{sidecar}}}}","sizeInBytes":1,"modificationTime":1,"tags":{}}}
            {"txn":{"appId":"stream","version":7}}
            """);
        var error = await Assert.ThrowsAsync<DeltaException>(() => table.SnapshotAsync(cancellationToken: Cancel));
        Assert.Contains("_delta_log/_sidecars/side.parquet, which is not there", error.Message, StringComparison.Ordinal);
        await tables.PutAsync("t/_delta_log/_sidecars/side.parquet", classic);
        Assert.Equal([(1, "a"), (2, "b"), (3, "c"), (4, "d")], await TestTables.RowsAsync(table));
        Assert.Equal(7, (await table.SnapshotAsync(cancellationToken: Cancel)).Transactions["stream"].Version);
    }

    [Fact]
    public async Task Snapshot_AnyBytesInACheckpoint_IsASnapshotOrADeltaException()
    {
        var (table, classic) = await CheckpointedTableAsync();
        var random = new Random(8);
        var refused = 0;
        for (var round = 0; round < 150; round++)
        {
            await tables.PutAsync($"{Checkpoint}.parquet", Mutation.Of(classic, random));
            try
            {
                await table.SnapshotAsync(cancellationToken: Cancel);
            }
            catch (DeltaException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 50, 150);
    }

    [Theory]
    [InlineData("""{"version":3,"size":9}""")]
    [InlineData("""{"version":99,"size":9}""")]
    [InlineData("""{"version":1,"size":9,"parts":3}""")]
    [InlineData("""{"version":-1}""")]
    [InlineData("""{"version":"3"}""")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("")]
    public async Task Snapshot_LastCheckpointThatMayLie_IsAHintOnly(string hint)
    {
        var table = await FourVersionsAsync();
        await tables.PutAsync("t/_delta_log/_last_checkpoint", hint);
        Assert.Equal([(1, "a"), (2, "b"), (3, "c")], await TestTables.RowsAsync(table));
        await table.CheckpointAsync(Cancel);
        await tables.PutAsync("t/_delta_log/_last_checkpoint", hint);
        await TestTables.AppendAsync(table, (4, "d"));
        Assert.Equal([(1, "a"), (2, "b"), (3, "c"), (4, "d")], await TestTables.RowsAsync(table));
        Assert.Equal([(1, "a")], await TestTables.RowsAsync(table, 1));
    }

    [Fact]
    public async Task Snapshot_FromAKnownOne_IsTheSame()
    {
        var table = await FourVersionsAsync();
        var known = await table.SnapshotAsync(1, Cancel);
        var (from, whole) = (await table.SnapshotAsync(known, Cancel), await table.SnapshotAsync(cancellationToken: Cancel));
        Assert.Equal((whole.Version, whole.Timestamp), (from.Version, from.Timestamp));
        Assert.Equal(whole.Files.Select(file => file.Path), from.Files.Select(file => file.Path));
        Assert.Same(from.Files[0], (await table.SnapshotAsync(from, Cancel)).Files[0]);
    }

    [Fact]
    public async Task Snapshot_AtATime_IsTheLatestVersionByThen()
    {
        var table = await FourVersionsAsync();
        var start = new DateTime(2024, 5, 1, 12, 0, 0, DateTimeKind.Utc);
        foreach (var (version, seconds) in ((int, int)[])[(0, 0), (1, 10), (2, 5), (3, 20)]) // the clock of version 2 was behind
            File.SetLastWriteTimeUtc(tables.Store.LocalPath(TestTables.LogKey(version))!, start.AddSeconds(seconds));
        async Task<long> At(int milliseconds) => (await table.SnapshotAsync(new DateTimeOffset(start.AddMilliseconds(milliseconds)), Cancel)).Version;
        long[] versions = [await At(0), await At(9_999), await At(10_000), await At(10_001), await At(19_900), await At(20_000), await At(99_000)];
        Assert.Equal([0, 0, 1, 2, 2, 3, 3], versions);
        Assert.Equal(new DateTimeOffset(start.AddMilliseconds(10_001)), (await table.SnapshotAsync(2, Cancel)).Timestamp);
        var error = await Assert.ThrowsAsync<DeltaException>(() => At(-1));
        Assert.Contains("the log begins with version 0, which is later", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Snapshot_AtATimeThatCommitsSay_GoesByThatFromWhereItWasEnabled()
    {
        const string Schema = """{\"type\":\"struct\",\"fields\":[]}""";
        const string Enabled = """{"delta.enableInCommitTimestamps":"true","delta.inCommitTimestampEnablementVersion":"1","delta.inCommitTimestampEnablementTimestamp":"5000"}""";
        await tables.PutAsync(TestTables.LogKey(0), $$$"""
            {"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["inCommitTimestamp"]}}
            {"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{{{Schema}}}","partitionColumns":[]}}
            """);
        await tables.PutAsync(TestTables.LogKey(1), $$$"""
            {"commitInfo":{"inCommitTimestamp":5000}}
            {"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{{{Schema}}}","partitionColumns":[],"configuration":{{{Enabled}}}}}
            """);
        await tables.PutAsync(TestTables.LogKey(2), """{"commitInfo":{"inCommitTimestamp":6000}}""");
        File.SetLastWriteTimeUtc(tables.Store.LocalPath(TestTables.LogKey(0))!, DateTime.UnixEpoch.AddSeconds(4));
        var table = (await DeltaTable.OpenAsync(tables.Store, "t", cancellationToken: Cancel))!;
        async Task<long> At(int milliseconds) => (await table.SnapshotAsync(DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), Cancel)).Version;
        long[] versions = [await At(4000), await At(4999), await At(5000), await At(5999), await At(6000)];
        Assert.Equal([0, 0, 1, 1, 2], versions);
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(6000), (await table.SnapshotAsync(2, Cancel)).Timestamp);
    }

    [Fact]
    public async Task Read_ColumnsById_FindsThemUnderAnyName()
    {
        var table = await HandMadeAsync(
            [Numbers("whatever", 2, 10, 20), Numbers("gone", 1, 0, 0)],
            """{\"name\":\"b\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{\"delta.columnMapping.id\":3,\"delta.columnMapping.physicalName\":\"x\"}},{\"name\":\"a\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{\"delta.columnMapping.id\":2,\"delta.columnMapping.physicalName\":\"gone\"}}""",
            mode: "id");
        Assert.Equal(["""{"b":null,"a":10}""", """{"b":null,"a":20}"""], await JsonAsync(table));
    }

    [Fact]
    public async Task Read_FileWithoutIdsInATableThatGoesByThem_IsRefused()
    {
        var table = await HandMadeAsync(
            [Numbers("a", id: null, 1)],
            """{\"name\":\"a\",\"type\":\"integer\",\"nullable\":true,\"metadata\":{\"delta.columnMapping.id\":2,\"delta.columnMapping.physicalName\":\"a\"}}""",
            mode: "id");
        // Nothing of the file is a column of the table, so that its rows would be all nulls.
        var error = await Assert.ThrowsAsync<DeltaException>(() => JsonAsync(table));
        Assert.Contains("no column ids", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("long", "7")]
    [InlineData("double", "7")]
    [InlineData("decimal(12,2)", "7.00")]
    public async Task Read_WidenedType_IsTheTablesType(string type, string expected)
    {
        var table = await HandMadeAsync([Numbers("a", null, 7, null)], $$$"""{\"name\":\"a\",\"type\":\"{{{type}}}\",\"nullable\":true,\"metadata\":{}}""");
        Assert.Equal([$$"""{"a":{{expected}}}""", """{"a":null}"""], await JsonAsync(table));
    }

    [Fact]
    public async Task Read_DatesAndShorterTimes_AreTheTablesTimes()
    {
        var days = new Date32Array.Builder().Append(new DateOnly(1969, 12, 31)).Build();
        var table = await HandMadeAsync([(new Field("a", Date32Type.Default, nullable: true), days)], """{\"name\":\"a\",\"type\":\"timestamp_ntz\",\"nullable\":true,\"metadata\":{}}""");
        Assert.Equal(["""{"a":"1969-12-31T00:00:00"}"""], await JsonAsync(table));
    }

    [Theory]
    [InlineData("short")]
    [InlineData("decimal(11,2)")]
    [InlineData("string")]
    public async Task Read_NarrowedType_IsRefused(string type)
    {
        var table = await HandMadeAsync([Numbers("a", null, 7)], $$$"""{\"name\":\"a\",\"type\":\"{{{type}}}\",\"nullable\":true,\"metadata\":{}}""");
        var error = await Assert.ThrowsAsync<DeltaException>(() => JsonAsync(table));
        Assert.Contains("column a is int32 in the file", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_ColumnsAndPredicate_ReadsOnlyTheFilesThatMayMatch()
    {
        var table = await tables.CreateAsync();
        for (var i = 0; i < 10; i++) await TestTables.AppendAsync(table, (i * 10, $"t{i}"), ((i * 10) + 5, null));
        var snapshot = await table.SnapshotAsync(cancellationToken: Cancel);
        var progress = new ScanProgress();
        var rows = await table.ReadAsync(snapshot, ["text"], Predicate.Parse("id = 35 OR id = 30", snapshot.Schema), progress, Cancel).ToListAsync(Cancel);
        Assert.Equal(["text"], rows.Single().Schema.FieldsList.Select(field => field.Name));
        var texts = (StringArray)rows.Single().Column(0);
        Assert.Equal(["t3", null], [texts.GetString(0), texts.GetString(1)]);
        Assert.Equal([snapshot.Files[3].Path], progress.Files);
        var error = Assert.Throws<ArgumentException>(() => table.ReadAsync(snapshot, ["id", "x", "y"], null, cancellationToken: Cancel));
        Assert.Contains("there is no column x, y; there are id, text", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_PredicateOnOneRowGroup_LeavesOutTheOthers()
    {
        var table = await HandMadeAsync([Numbers("a", null, [.. Enumerable.Range(0, 900).Select(i => (int?)i)])], """{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}""", rowsPerGroup: 100);
        var snapshot = await table.SnapshotAsync(cancellationToken: Cancel);
        var progress = new ScanProgress();
        var rows = await table.ReadAsync(snapshot, null, Predicate.Parse("a IN (250, 399)", snapshot.Schema), progress, Cancel).ToListAsync(Cancel);
        Assert.Equal([250L, 399], rows.SelectMany(batch => ((Int64Array)batch.Column(0)).Values.ToArray()));
        Assert.Equal(7, progress.SkippedRowGroups);
    }

    [Fact]
    public async Task Changes_OfAppendAndOverwrite_AreTheFilesThatCameAndWent()
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, (1, "a"));
        await TestTables.OverwriteAsync(table, (2, "b"));
        var changes = await ChangesAsync(table, 1, 2);
        Assert.Equal(["1 a insert 1", "1 a delete 2", "2 b insert 2"], changes);
        var error = await Assert.ThrowsAsync<DeltaException>(() => ChangesAsync(table, 1, 3));
        Assert.Contains("no version 3", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Changes_WhereTheWriterKeptThem_AreThose()
    {
        var options = new TableOptions { Properties = new Dictionary<string, string> { ["delta.enableChangeDataFeed"] = "true" } };
        var table = (await DeltaTable.CreateAsync(tables.Store, "t", TestTables.Schema, options, cancellationToken: Cancel))!;
        await TestTables.AppendAsync(table, (1, "a"), (2, "b"), (3, "c"));
        await table.DeleteAsync("id = 2", cancellationToken: Cancel);
        Assert.Equal(["2 b delete 2"], await ChangesAsync(table, 2, 2));
    }

    [Fact]
    public async Task Changes_OfADeletionVector_AreTheRowsThatItDeletes()
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, [.. Enumerable.Range(0, 30).Select(i => ((long)i, (string?)"x"))]);
        var add = (await table.SnapshotAsync(cancellationToken: Cancel)).Files[0];
        var vector = """{"storageType":"i","pathOrInlineDv":"^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L","sizeInBytes":44,"cardinality":6}""";
        await tables.PutAsync(TestTables.LogKey(2), $$$"""
            {"remove":{"path":"{{{add.Path}}}","dataChange":true}}
            {"add":{"path":"{{{add.Path}}}","partitionValues":{},"size":{{{add.Size}}},"modificationTime":1,"dataChange":true,"deletionVector":{{{vector}}}}}
            """);
        Assert.Equal([3L, 4, 7, 11, 18, 29], (await ChangesAsync(table, 2, 2)).Select(change => long.Parse(change.Split(' ')[0])));
        // And back again.
        await tables.PutAsync(TestTables.LogKey(3), $$$"""
            {"remove":{"path":"{{{add.Path}}}","dataChange":true,"deletionVector":{{{vector}}}}}
            {"add":{"path":"{{{add.Path}}}","partitionValues":{},"size":{{{add.Size}}},"modificationTime":1,"dataChange":true}}
            """);
        Assert.Equal("3 x insert 3", (await ChangesAsync(table, 3, 3))[0]);
        Assert.Equal(30, (await TestTables.RowsAsync(table)).Count);
        Assert.Equal(24, (await TestTables.RowsAsync(table, 2)).Count);
    }

    [Fact]
    public async Task History_OfEveryCommit_SaysWhoAndHow()
    {
        var table = await tables.CreateAsync();
        using (var rows = TestTables.Stage((1, "a")))
            await table.AppendAsync(rows, new() { User = "ada", Job = "job-7", TraceId = "4bf92f3577b34da6a3ce929d0e0e4736" }, Cancel);
        await tables.PutAsync(TestTables.LogKey(2), """{"commitInfo":{"timestamp":1,"operation":"OPTIMIZE","operationParameters":{"zOrderBy":["a"]},"job":"text","operationMetrics":{"n":5},"isBlindAppend":"no"}}""");
        var history = await table.HistoryAsync(Cancel).ToListAsync(Cancel);
        Assert.Equal([2L, 1, 0], history.Select(commit => commit.Version));
        Assert.Equal(("WRITE", "ada", "job-7", "4bf92f3577b34da6a3ce929d0e0e4736"), (history[1].Operation, history[1].User, history[1].Job, history[1].TraceId));
        Assert.Equal(("OPTIMIZE", "[\"a\"]", "5", null, null), (history[0].Operation, history[0].Parameters!["zOrderBy"], history[0].Metrics!["n"], history[0].Job, history[0].IsBlindAppend));
        Assert.True(history[0].Timestamp > history[1].Timestamp && history[1].Timestamp > history[2].Timestamp);
    }

    private async Task<DeltaTable> FourVersionsAsync()
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, (1, "a"));
        await TestTables.AppendAsync(table, (2, "b"));
        await TestTables.AppendAsync(table, (3, "c"));
        return table;
    }

    /// <summary>A table whose log begins behind version 3, without the checkpoint that it needs.</summary>
    private async Task<(DeltaTable Table, byte[] Checkpoint)> CheckpointedTableAsync()
    {
        var table = await FourVersionsAsync();
        await table.CheckpointAsync(Cancel);
        var bytes = await File.ReadAllBytesAsync(tables.Store.LocalPath($"{Checkpoint}.parquet")!, Cancel);
        await TestTables.AppendAsync(table, (4, "d"));
        await tables.Store.DeleteAsync($"{Checkpoint}.parquet", Cancel);
        for (var version = 0; version <= 3; version++) await tables.Store.DeleteAsync(TestTables.LogKey(version), Cancel);
        return (table, bytes);
    }

    private static (Field Field, IArrowArray Values) Numbers(string name, int? id, params int?[] values)
    {
        var array = new Int32Array.Builder();
        foreach (var value in values) _ = value is { } number ? array.Append(number) : array.AppendNull();
        Dictionary<string, string>? metadata = id is { } known ? new() { ["PARQUET:field_id"] = $"{known}" } : null;
        return (new(name, Int32Type.Default, nullable: true, metadata), array.Build());
    }

    /// <summary>One file, and a log that says what its columns are in the table.</summary>
    private async Task<DeltaTable> HandMadeAsync((Field Field, IArrowArray Values)[] columns, string fields, string? mode = null, int rowsPerGroup = 1 << 20)
    {
        await tables.PutAsync("t/a.parquet", "");
        using (var writer = new FileWriter(tables.Store.LocalPath("t/a.parquet")!, new Schema(columns.Select(column => column.Field), metadata: null)))
        {
            using var batch = new RecordBatch(new Schema(columns.Select(column => column.Field), metadata: null), columns.Select(column => column.Values), columns[0].Values.Length);
            writer.WriteRecordBatch(batch, rowsPerGroup);
            writer.Close();
        }
        var configuration = mode is null ? "{}" : $$"""{"delta.columnMapping.mode":"{{mode}}"}""";
        await tables.PutAsync(TestTables.LogKey(0), $$$"""
            {"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["columnMapping","typeWidening","timestampNtz"],"writerFeatures":["columnMapping","typeWidening","timestampNtz"]}}
            {"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{\"type\":\"struct\",\"fields\":[{{{fields}}}]}","partitionColumns":[],"configuration":{{{configuration}}}}}
            {"add":{"path":"a.parquet","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}
            """);
        return (await DeltaTable.OpenAsync(tables.Store, "t", cancellationToken: Cancel))!;
    }

    private static async Task<List<string>> JsonAsync(DeltaTable table)
    {
        using var stream = new MemoryStream();
        await TableInspection.WriteRowsAsync(stream, table, await table.SnapshotAsync(cancellationToken: Cancel), null, null, null, Cancel);
        return [.. Encoding.UTF8.GetString(stream.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    }

    private static async Task<List<string>> ChangesAsync(DeltaTable table, long from, long to)
    {
        var changes = new List<string>();
        await foreach (var batch in table.ChangesAsync(from, to, Cancel))
            using (batch)
            {
                Assert.Equal(["id", "text", "_change_type", "_commit_version", "_commit_timestamp"], batch.Schema.FieldsList.Select(field => field.Name));
                for (var i = 0; i < batch.Length; i++)
                    changes.Add($"{((Int64Array)batch.Column(0)).GetValue(i)} {((StringArray)batch.Column(1)).GetString(i)} {((StringArray)batch.Column(2)).GetString(i)} {((Int64Array)batch.Column(3)).GetValue(i)}");
            }
        return changes;
    }
}
