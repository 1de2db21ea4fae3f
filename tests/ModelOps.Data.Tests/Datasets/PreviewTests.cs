using System.IO.Compression;
using System.Text.Json;
using ModelOps.Data.Tests.Delta;
using ModelOps.Tables.Datasets;

namespace ModelOps.Data.Tests.Datasets;

public sealed class PreviewTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => ingestion.Dispose();

    [Fact]
    public async Task Preview_OfAWholeFile_SaysWhatTheIngestionWillSayAndMakesNothing()
    {
        var content = TestIngestion.Utf8(TestIngestion.Lines(60) + "{\"prompt\":1}\n" + TestIngestion.Pair(1));
        var options = new IngestionOptions { MaxBad = "1" };
        var preview = await LookAsync(content, options);
        Assert.Empty(await ingestion.Tables.Store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel));
        var ingested = await ingestion.IngestAsync(content, options);
        Assert.Equal(Json(ingested.Report), Json(preview.Report!));
        Assert.True(preview.Whole);
        Assert.Empty(preview.Errors);
        var rows = await ingestion.RowsAsync(ingested);
        Assert.Equal(rows.Take(20).Select(row => row.Id), preview.Rows.Select(row => row.GetProperty("id").GetString()));
        var splits = await ingestion.SplitsByIdAsync(ingested);
        Assert.All(preview.Rows, row => Assert.Equal(splits[row.GetProperty("id").GetString()!], row.GetProperty("split").GetString()));
        Assert.Equal(61, Assert.Single(preview.Rejected).Line);
        Assert.Equal("{\"prompt\":1}", preview.Rejected[0].Raw);
    }

    [Fact]
    public async Task Preview_TooManyBadRows_ShowsThemAndSaysThatTheFileWouldBeRefused()
    {
        var preview = await LookAsync(TestIngestion.Utf8(TestIngestion.Lines(10) + "broken\n"));
        Assert.Equal("1 of 11 rows are bad, more than 5% (--max-bad)", Assert.Single(preview.Errors));
        Assert.Equal(10, preview.Report!.Rows.Kept);
        Assert.Equal("broken", Assert.Single(preview.Rejected).Raw);
    }

    [Fact]
    public async Task Preview_MoreRowsThanItReads_EndsThere()
    {
        var preview = await LookAsync(TestIngestion.Utf8(TestIngestion.Lines(101)), rows: 100);
        Assert.False(preview.Whole);
        Assert.Equal(100, preview.Report!.Rows.Read);
        Assert.True((await LookAsync(TestIngestion.Utf8(TestIngestion.Lines(100)), rows: 100)).Whole);
    }

    /// <summary>What is cut is neither a bad row nor a damaged file.</summary>
    [Theory]
    [InlineData("rows.jsonl")]
    [InlineData("rows.json")]
    [InlineData("rows.jsonl.gz")]
    public async Task Preview_OfTheBeginningOfAFile_TakesWholeRowsOnly(string name)
    {
        const int Cut = 300_000;
        var text = string.Concat(Enumerable.Range(1, 3000).Select(i => $$"""{"text":"{{i}} {{Convert.ToHexString(System.Security.Cryptography.SHA512.HashData(BitConverter.GetBytes(i)))}}"},""" + "\n"));
        var content = TestIngestion.Utf8(name == "rows.json" ? $"[{text.TrimEnd('\n', ',')}]" : text.Replace("},\n", "}\n", StringComparison.Ordinal));
        if (name.EndsWith(".gz", StringComparison.Ordinal))
        {
            using var packed = new MemoryStream();
            await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) await gzip.WriteAsync(content, Cancel);
            content = packed.ToArray();
        }
        Assert.True(content.Length > Cut);
        var preview = await LookAsync(content[..Cut], fileName: name, cutAt: Cut);
        Assert.Empty(preview.Errors);
        Assert.False(preview.Whole);
        Assert.Equal(0, preview.Report!.Rows.Quarantined);
        Assert.InRange(preview.Report.Rows.Kept, 100, 2900);
    }

    [Theory]
    [InlineData("", "rows.jsonl is empty: it has 0 bytes")]
    [InlineData("\u007FELF\u0002\u0001\u0001\0\0\0\0", "rows.jsonl is a binary file, a program")]
    [InlineData("[{\"text\":\"a\"},{\"text\":", "rows.jsonl: ")]
    [InlineData("{\"what\":1}\n", "the shape of the rows is not known")]
    [InlineData("PAR1 but no Parquet", "the Parquet file is damaged or cut off")]
    public async Task Preview_FileThatIsRefused_GivesTheReasonOfTheIngestion(string content, string reason)
    {
        var preview = await LookAsync(TestIngestion.Utf8(content));
        Assert.Null(preview.Report);
        Assert.Contains(reason, preview.Errors[0], StringComparison.Ordinal);
        var rejected = Assert.IsType<IngestionOutcome.Rejected>(await ingestion.RunAsync(TestIngestion.Utf8(content)));
        Assert.Equal(rejected.Errors, preview.Errors);
    }

    [Fact]
    public async Task Preview_OfTheBeginningOfAParquetFile_SaysThatItNeedsTheEnd()
    {
        var preview = await LookAsync(TestIngestion.Utf8("PAR1 and so on"), cutAt: 14);
        Assert.Contains("Parquet is read from its end", Assert.Single(preview.Errors), StringComparison.Ordinal);
    }

    private static Task<DatasetPreview> LookAsync(byte[] content, IngestionOptions? options = null, int rows = 2000, string fileName = "rows.jsonl", long? cutAt = null) =>
        DatasetIngestion.PreviewAsync(new MemoryStream(content), new PreviewRequest(fileName, options ?? new(), rows, cutAt), Cancel);

    private static string Json(ModelOps.Tables.Datasets.Reports.IngestionReport report) => JsonSerializer.Serialize(report, IngestionJson.Default.IngestionReport);
}
