using ModelOps.Data.Tests.Delta;
using ModelOps.Tables.Datasets.Queries;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Datasets;

/// <summary>Tables of a dataset that another program rewrote in a way that their files alone do not tell: DuckDB, which reads the files, would answer wrongly.</summary>
public sealed class QueryTablesTests : IDisposable
{
    private const string Mapped = """\"delta.columnMapping.id\":1,\"delta.columnMapping.physicalName\":\"col-1\" """;
    private readonly TestTables tables = new();

    public void Dispose() => tables.Dispose();

    [Theory]
    [InlineData(
        """{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}""", "", "[]", "{}",
        ""","deletionVector":{"storageType":"i","pathOrInlineDv":"wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L","sizeInBytes":40,"cardinality":6}""",
        "datasets/d/train has deleted rows in f.parquet (deletion vectors)")]
    [InlineData(
        """{"minReaderVersion":2,"minWriterVersion":5}""", Mapped, "[]", """{"delta.columnMapping.mode":"name"}""", "",
        "datasets/d/train has columns under other names in its files (delta.columnMapping.mode = Name)")]
    [InlineData(
        """{"minReaderVersion":1,"minWriterVersion":2}""", "", """["id"]""", "{}", "",
        "datasets/d/train has the columns id in no file (partition columns)")]
    public async Task Open_TableThatItsFilesDoNotTell_IsRefusedByName(
        string protocol, string field, string partitions, string configuration, string file, string expected)
    {
        await tables.PutAsync(TestTables.LogKey(0, "datasets/d/train"), $$"""
            {"protocol":{{protocol}} }
            {"metaData":{"id":"i","format":{"provider":"parquet","options":{} },"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"string\",\"nullable\":true,\"metadata\":{ {{field}} } }]}","partitionColumns":{{partitions}},"configuration":{{configuration}},"createdTime":0} }
            {"add":{"path":"f.parquet","partitionValues":{"id":"x"},"size":1,"modificationTime":0,"dataChange":true{{file}} } }

            """);
        var versions = new Dictionary<string, long>(StringComparer.Ordinal) { ["train"] = 0 };
        var refused = await Assert.ThrowsAsync<DeltaException>(() => QueryTables.CountAsync(tables.Store, "d", versions, TestTables.Cancel));
        Assert.StartsWith(expected, refused.Message, StringComparison.Ordinal);
    }
}
