using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Datasets;
using ParquetSharp.Arrow;

namespace ModelOps.Data.Tests.Datasets;

public sealed class FormatTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    public void Dispose() => ingestion.Dispose();

    [Theory]
    [InlineData("rows.csv", "prompt,completion\r\n\"a, \"\"b\"\"\",\"line 1\nline 2\"\r\nc,d\r\n", "csv", "the name of the file says so")]
    [InlineData("rows", "prompt,completion\n\"a, \"\"b\"\"\",\"line 1\nline 2\"\nc,d", "csv", "the first line names columns that are known")]
    [InlineData("rows", "Prompt;Completion\n\"a, \"\"b\"\"\";\"line 1\nline 2\"\nc;d", "csv", "the first line names columns that are known")]
    [InlineData("rows", "prompt\tcompletion\n\"a, \"\"b\"\"\"\t\"line 1\nline 2\"\nc\td", "tsv", "the first line names columns that are known")]
    [InlineData("rows.csv", "id|prompt|completion\n1|\"a, \"\"b\"\"\"|\"line 1\nline 2\"\n\n2|c|d", "csv", "the name of the file says so")]
    public async Task Run_Csv_ReadsQuotesDelimitersAndHeaders(string name, string content, string format, string reason)
    {
        var ingested = await ingestion.IngestAsync(content, fileName: name);
        Assert.Equal((format, reason), (ingested.Report.Source.Format, ingested.Report.Source.FormatReason));
        var rows = await ingestion.RowsAsync(ingested);
        Assert.Equal(["a, \"b\"", "line 1\nline 2", "c", "d"], rows.SelectMany(row => row.Messages).Select(message => message.Content));
        Assert.Equal([2L, content.Contains("\n\n", StringComparison.Ordinal) ? 5 : 4], rows.Select(row => row.SourceLine));
    }

    [Fact]
    public async Task Run_CsvWithoutHeader_IsReadByColumnNumbers()
    {
        var map = new Dictionary<string, string> { ["column2"] = "prompt", ["column1"] = "completion" };
        var ingested = await ingestion.IngestAsync("a1,q1\na2,q2\n", new() { Map = map }, "rows.csv");
        Assert.Equal(["q1", "a1", "q2", "a2"], (await ingestion.RowsAsync(ingested)).SelectMany(row => row.Messages).Select(message => message.Content));
        await Assert.ThrowsAsync<Xunit.Sdk.TrueException>(() => ingestion.IngestAsync("a1,q1\na2,q2\n", fileName: "rows.csv"));
    }

    [Theory]
    [InlineData("prompt,completion\na,b\nonly\n", "line 3: has another number of fields (1 instead of 2)")]
    [InlineData("prompt,completion\na,b\n\"a\"x,b\n", "line 3: has text after a closing quote (field 1; write a quote in a quoted field twice)")]
    [InlineData("prompt,completion\na,b\n\"a,b\n", "line 3: has a quoted field without an end (field 1)")]
    [InlineData("prompt,prompt\na,b\n", "the header names the column 'prompt' twice")]
    [InlineData("prompt,completion\na,\n", "line 2: completion is empty")]
    public async Task Run_BrokenCsv_IsRejectedWithTheReason(string content, string reason) =>
        await ingestion.AssertRejectedAsync(TestIngestion.Utf8(content), "rows.csv", reason);

    [Fact]
    public async Task Run_MessagesInATable_AreReadAsJson()
    {
        var cell = """[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]""".Replace("\"", "\"\"", StringComparison.Ordinal);
        var ingested = await ingestion.IngestAsync($"messages\n\"{cell}\"\n", fileName: "rows.csv");
        Assert.Equal(["hi", "hello"], Assert.Single(await ingestion.RowsAsync(ingested)).Messages.Select(message => message.Content));
    }

    [Fact]
    public async Task Run_PlainText_IsARowALine()
    {
        var ingested = await ingestion.IngestAsync("first line\r\n\r\n  \"second\"\tline", fileName: "book.txt");
        Assert.Equal(("text", "text", "text"), (ingested.Report.Source.Format, ingested.Report.Source.Shape, ingested.Report.Task));
        Assert.Equal(["first line", "  \"second\"\tline"], (await ingestion.RowsAsync(ingested)).Select(row => row.Messages[0].Content));
    }

    [Fact]
    public async Task Run_Parquet_ReadsNestedColumns()
    {
        var ingested = await ingestion.IngestAsync(Parquet(), fileName: "rows");
        Assert.Equal(("parquet", "chat"), (ingested.Report.Source.Format, ingested.Report.Source.Shape));
        Assert.StartsWith("row 1 ", ingested.Report.Source.ShapeReason, StringComparison.Ordinal);
        var rows = await ingestion.RowsAsync(ingested);
        Assert.Equal([1L, 2L], rows.Select(row => row.SourceLine));
        Assert.Equal(["user: q0", "assistant: a0", "user: q1", "assistant: a1"], rows.SelectMany(row => row.Messages).Select(message => $"{message.Role}: {message.Content}"));
    }

    [Fact]
    public async Task Run_BrokenParquet_IsRejectedWithTheReason()
    {
        var whole = Parquet();
        await ingestion.AssertRejectedAsync(whole[..^30], "rows.parquet", "the Parquet file is damaged or cut off");
        await ingestion.AssertRejectedAsync([.. whole[..100], .. new byte[whole.Length - 200], .. whole[^100..]], "rows.parquet", "damaged");
        var stated = await ingestion.RunAsync(TestIngestion.Utf8(TestIngestion.Chat), new() { Format = "parquet" });
        Assert.Contains("is no Parquet file", Assert.IsType<IngestionOutcome.Rejected>(stated).Errors[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("zstd")]
    public async Task Run_Packed_IsUnpacked(string compression)
    {
        var packed = Pack(TestIngestion.Utf8(TestIngestion.Lines(3000)), compression);
        var ingested = await ingestion.IngestAsync(packed, fileName: "rows");
        Assert.Equal((3000, compression, packed.Length), (ingested.Report.Rows.Kept, ingested.Report.Source.Compression, ingested.Report.Source.Bytes));
        Assert.Equal("parquet", (await ingestion.IngestAsync(Pack(Parquet(), compression))).Report.Source.Format);
        Assert.Equal(30, (await ingestion.IngestAsync(Pack(TestIngestion.Utf8($"prompt,completion\n{string.Concat(Enumerable.Range(0, 30).Select(i => $"q{i},a{i}\n"))}"), compression), fileName: "x.csv.gz")).Report.Rows.Kept);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("zstd")]
    public async Task Run_PackedAndBroken_IsRejectedWithTheReason(string compression)
    {
        var packed = Pack(TestIngestion.Utf8(TestIngestion.Lines(3000)), compression);
        await ingestion.AssertRejectedAsync(packed[..^20], "rows.jsonl", compression, "cut off", "make or download it again");
        await ingestion.AssertRejectedAsync(packed[..6], "rows.jsonl", compression);
        var damaged = packed.ToArray();
        damaged.AsSpan(packed.Length / 2, 30).Fill(0xAA);
        await ingestion.AssertRejectedAsync(damaged, "rows.jsonl", "rows.jsonl: ");
        await ingestion.AssertRejectedAsync(Pack(packed, "gzip"), "rows.jsonl", "packed twice");
        await ingestion.AssertRejectedAsync(Pack([], compression), "rows.jsonl", "empty");
    }

    [Fact]
    public async Task Run_ZstdOfTheTool_IsUnpacked()
    {
        using var folder = new TempFile(TestIngestion.Utf8(TestIngestion.Lines(100)));
        try
        {
            using var zstd = Process.Start(new ProcessStartInfo("zstd", ["-19", "-q", folder.Path, "-o", folder.Path + ".zst"]))!;
            await zstd.WaitForExitAsync(TestIngestion.Cancel);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("zstd is not installed");
        }
        var packed = await File.ReadAllBytesAsync(folder.Path + ".zst", TestIngestion.Cancel);
        Assert.Equal(100, (await ingestion.IngestAsync(packed)).Report.Rows.Kept);
        Assert.Equal(100, (await ingestion.IngestAsync([.. packed, .. packed])).Report.Rows.Kept); // frames follow each other
    }

    [Theory]
    [InlineData("utf-8", "UTF-8")]
    [InlineData("utf-16", "UTF-16LE")]
    [InlineData("utf-16BE", "UTF-16BE")]
    public async Task Run_ByteOrderMark_SaysTheEncoding(string encoding, string name)
    {
        var text = Encoding.GetEncoding(encoding);
        var rows = string.Concat(Enumerable.Range(0, 5000).Select(i => $$"""{"prompt":"é{{i}}","completion":"😀"}""" + "\r\n"));
        var ingested = await ingestion.IngestAsync([.. text.Preamble, .. text.GetBytes(rows)]);
        Assert.Equal((5000, name), (ingested.Report.Rows.Kept, ingested.Report.Source.Encoding));
        Assert.Equal("😀", (await ingestion.RowsAsync(ingested))[4999].Messages[1].Content);
    }

    [Fact]
    public async Task Run_OtherEncodings_AreRejectedWithTheReason()
    {
        await ingestion.AssertRejectedAsync(Encoding.Unicode.GetBytes(TestIngestion.Chat), "rows.jsonl", "UTF-16", "without a byte order mark", "save it as UTF-8");
        await ingestion.AssertRejectedAsync([.. Encoding.UTF32.Preamble, .. Encoding.UTF32.GetBytes(TestIngestion.Chat)], "rows.jsonl", "UTF-32");
        await ingestion.AssertRejectedAsync([.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes(TestIngestion.Chat), 0x00, 0xD8], "rows.jsonl", "not valid UTF-16");
        await ingestion.AssertRejectedAsync(Encoding.Latin1.GetBytes("""{"prompt":"caf\u00e9","completion":"é"}"""), "rows.jsonl", "line 1: not valid UTF-8 (0xE9 at byte 37 of the row; save the file as UTF-8)");
    }

    [Theory]
    [InlineData("", "is empty: it has 0 bytes")]
    [InlineData("\uFEFF", "is empty: it has a byte order mark and nothing else")]
    [InlineData("  \n\n ", "is empty: it has no rows")]
    [InlineData("[]", "is empty: it has no rows")]
    [InlineData("this is no JSON\nnor this", "line 1: not valid JSON", "JSONL (a JSON object a line)", "--format")]
    [InlineData("{\"prompt\": ", "line 1: not valid JSON")]
    [InlineData("{\"foo\":1,\"bar\":2}", "foo, bar", "messages", "conversations", "instruction", "completion", "question", "--map")]
    [InlineData("[{\"foo\":1,\"bar\":2}]", "foo, bar", "messages")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"},\n{\"prompt\":\"a\"", "line 2", "cut off")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"},\n]", "line 2", "missing")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\",\"completion\":\"c\"}]", "line 2: not valid JSON")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"}]\nmore", "line 2", "after the end")]
    [InlineData("[\n{\"prompt\":\"a\",\"completion\":\"b\"},\n{prompt}]", "line 3: not valid JSON")]
    [InlineData("PK\u0003\u0004\0\0", "binary", "zip archive", "unpack it")]
    [InlineData("%PDF-1.7\n", "binary", "PDF", "export its text")]
    [InlineData("\u0001\u0002\u0003\0\0\0\0\u0004", "binary", "known are JSONL")]
    public async Task Run_BrokenFile_IsRejectedWithTheReason(string content, params string[] expected) => await ingestion.AssertRejectedAsync(content, expected);

    [Fact]
    public async Task Run_JsonArrayByNameOnly_IsRejectedWithTheReason() =>
        await ingestion.AssertRejectedAsync("hello"u8.ToArray(), "rows.json", "line 1: the file does not begin with '['");

    [Fact]
    public async Task Run_NulByte_IsABadRow()
    {
        var ingested = await ingestion.IngestAsync($"{TestIngestion.Lines(50)}{{\"prompt\":\"a\0\",\"completion\":\"b\"}}\n");
        Assert.Equal("has a NUL byte (byte 13 of the row; the file may be damaged)", Assert.Single(ingested.Report.Quarantine.Examples).Reason);
    }

    private static byte[] Pack(byte[] content, string compression)
    {
        using var packed = new MemoryStream();
        using (Stream writer = compression == "gzip"
            ? new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)
            : new ZstdSharp.CompressionStream(packed, leaveOpen: true)) writer.Write(content);
        return packed.ToArray();
    }

    /// <summary>Two conversations as list of structs, and a column of no use.</summary>
    private static byte[] Parquet()
    {
        var message = new StructType([new Field("role", StringType.Default, nullable: false), new Field("content", StringType.Default, nullable: true)]);
        var list = new ListType(new Field("element", message, nullable: false));
        var schema = new Schema([new Field("score", DoubleType.Default, nullable: true), new Field("messages", list, nullable: false)], metadata: null);
        var messages = new StructArray(
            message, 4,
            [
                new StringArray.Builder().AppendRange(["user", "assistant", "user", "assistant"]).Build(),
                new StringArray.Builder().AppendRange(["q0", "a0", "q1", "a1"]).Build(),
            ],
            ArrowBuffer.Empty);
        var lists = new ListArray(list, 2, new ArrowBuffer.Builder<int>().AppendRange([0, 2, 4]).Build(), messages, ArrowBuffer.Empty);
        using var file = new TempFile([]);
        using (var writer = new FileWriter(file.Path, schema))
        {
            using var batch = new RecordBatch(schema, [new DoubleArray.Builder().Append(0.5).AppendNull().Build(), lists], 2);
            writer.WriteRecordBatch(batch);
            writer.Close();
        }
        return File.ReadAllBytes(file.Path);
    }

    private sealed class TempFile : IDisposable
    {
        private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-test-");

        public TempFile(byte[] content) => File.WriteAllBytes(Path, content);

        public string Path => System.IO.Path.Combine(folder.FullName, "file");

        public void Dispose() => folder.Delete(recursive: true);
    }
}
