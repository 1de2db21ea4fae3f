using System.Text;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

public sealed class DeltaLogTests : IDisposable
{
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Snapshot_MissingCommit_NamesIt()
    {
        var table = await TableOfThreeVersionsAsync();
        await tables.Store.DeleteAsync(TestTables.LogKey(1), Cancel);
        await AssertRefusedAsync(table, "gap", "00000000000000000001.json");
    }

    [Fact]
    public async Task Snapshot_MissingFirstCommit_NamesIt()
    {
        var table = await TableOfThreeVersionsAsync();
        await tables.Store.DeleteAsync(TestTables.LogKey(0), Cancel);
        await AssertRefusedAsync(table, "gap", "00000000000000000000.json");
    }

    [Fact]
    public async Task Snapshot_EmptyCommit_NamesIt()
    {
        var table = await TableOfThreeVersionsAsync();
        await tables.PutAsync(TestTables.LogKey(2), "");
        await AssertRefusedAsync(table, "00000000000000000002.json is empty");
    }

    [Fact]
    public async Task Snapshot_TornLine_NamesFileAndLine()
    {
        var table = await TableOfThreeVersionsAsync();
        var commit = await tables.TextAsync(TestTables.LogKey(2));
        await tables.PutAsync(TestTables.LogKey(2), commit[..^10]);
        await AssertRefusedAsync(table, "00000000000000000002.json line 2", "torn");
    }

    [Theory]
    [InlineData("""{"protocol":{"minReaderVersion":4,"minWriterVersion":7}}""", "protocol version 4")]
    [InlineData("""{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["variantType","timestampNtz"],"writerFeatures":[]}}""", "variantType")]
    [InlineData("""{"add":{"partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}""", "path")]
    [InlineData("""{"add":{"path":"..%2Fother","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}""", "leads out of the table's folder")]
    [InlineData("""{"add":{"path":"s3://bucket/x","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}""", "leads out of the table's folder")]
    [InlineData("""{"add":{"path":"/etc/x","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}""", "leads out of the table's folder")]
    [InlineData("""{"add":{"path":null,"partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}""", "path")]
    [InlineData("null", "null is no action")]
    [InlineData("[]", "no action")]
    [InlineData("""{"metaData":{"id":"x","format":{"provider":"orc"},"schemaString":"{}","partitionColumns":[]}}""", "orc")]
    [InlineData("""{"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"variant\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[]}}""", "variant")]
    public async Task Snapshot_WhatThisReaderDoesNotKnow_IsNamed(string line, string reason)
    {
        var table = await TableOfThreeVersionsAsync();
        await tables.PutAsync(TestTables.LogKey(3), line);
        await AssertRefusedAsync(table, reason);
    }

    [Fact]
    public async Task Snapshot_ActionsAndMembersOfOtherKinds_ArePassedOver()
    {
        var table = await TableOfThreeVersionsAsync();
        await tables.PutAsync(TestTables.LogKey(3), """
            {"txn":{"appId":"a","version":1},"future":{"x":1}}

            {"commitInfo":"anything"}
            """);
        Assert.Equal(2, (await TestTables.RowsAsync(table, 3)).Count);
    }

    [Theory]
    [InlineData("""{"minReaderVersion":1,"minWriterVersion":8}""", "{}", "[]", "protocol version 8")]
    [InlineData("""{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking"]}""", "{}", "[]", "rowTracking")]
    [InlineData("""{"minReaderVersion":1,"minWriterVersion":4}""", """{"delta.generationExpression":"id"}""", "[]", "column text is generated")]
    [InlineData("""{"minReaderVersion":1,"minWriterVersion":6}""", """{"delta.identity.start":1}""", "[]", "column text is an identity column")]
    [InlineData("""{"minReaderVersion":1,"minWriterVersion":2}""", """{"delta.invariants":"{}"}""", "[]", "the invariant of text ({})")]
    public async Task Append_WhatThisWriterDoesNotKnow_IsRefused(string protocol, string fieldMetadata, string partitions, string reason)
    {
        var schema = """{"type":"struct","fields":[{"name":"id","type":"long","nullable":false,"metadata":{}},{"name":"text","type":"string","nullable":true,"metadata":METADATA}]}"""
            .Replace("METADATA", fieldMetadata, StringComparison.Ordinal).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
        await tables.PutAsync(TestTables.LogKey(0), $$$"""
            {"protocol":{{{protocol}}}}
            {"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{{{schema}}}","partitionColumns":{{{partitions}}}}}
            """);
        var table = (await DeltaTable.OpenAsync(tables.Store, "t", cancellationToken: Cancel))!;
        var error = await Assert.ThrowsAsync<DeltaException>(() => TestTables.AppendAsync(table, (1, "a")));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Snapshot_AnyBytesInTheLog_IsASnapshotOrADeltaException()
    {
        var table = await TableOfThreeVersionsAsync();
        var originals = new List<byte[]>();
        for (var version = 0; version < 3; version++) originals.Add(Encoding.UTF8.GetBytes(await tables.TextAsync(TestTables.LogKey(version))));
        var random = new Random(20);
        var refused = 0;
        for (var round = 0; round < 200; round++)
        {
            var version = random.Next(3);
            await tables.PutAsync(TestTables.LogKey(version), Mutation.Of(originals[version], random));
            try
            {
                await table.SnapshotAsync(cancellationToken: Cancel);
            }
            catch (DeltaException)
            {
                refused++;
            }
            await tables.PutAsync(TestTables.LogKey(version), originals[version]);
        }
        Assert.InRange(refused, 40, 199);
    }

    private async Task<DeltaTable> TableOfThreeVersionsAsync()
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, (1, "a"));
        await TestTables.AppendAsync(table, (2, "b"));
        return table;
    }

    private static async Task AssertRefusedAsync(DeltaTable table, params string[] reasons)
    {
        var error = await Assert.ThrowsAsync<DeltaException>(() => table.SnapshotAsync(cancellationToken: Cancel));
        Assert.All(reasons, reason => Assert.Contains(reason, error.Message, StringComparison.Ordinal));
    }
}
