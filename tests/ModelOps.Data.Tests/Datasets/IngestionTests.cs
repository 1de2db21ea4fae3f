using System.IO.Compression;
using System.Text;
using ModelOps.Data.Tests.Delta;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Datasets;

public sealed class IngestionTests : IDisposable
{
    private const string Chat = """{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}""";
    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => tables.Dispose();

    public static TheoryData<string, string, string[]> Shapes => new()
    {
        { "chat", Chat, ["user: hi", "assistant: hello"] },
        {
            "chat",
            """{"messages":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c"}]}""",
            ["system: s", "user: ab", "assistant: c"]
        },
        {
            "chat",
            """{"tools":[{"name":"f"}],"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},{"role":"tool","content":"42","tool_call_id":"1"},{"role":"assistant","content":"a"}]}""",
            ["system: You can call these tools:\n[{\"name\":\"f\"}]", "user: q", """assistant: {"name":"f","arguments":{"x":1}}""", "tool: 42", "assistant: a"]
        },
        { "alpaca", """{"instruction":"i","input":"","output":"o"}""", ["user: i", "assistant: o"] },
        {
            "alpaca",
            """{"instruction":"i","input":"n","output":"o","system":"s","history":[["u1","a1"]]}""",
            ["system: s", "user: u1", "assistant: a1", "user: i\nn", "assistant: o"]
        },
        {
            "sharegpt",
            """{"system":"s","conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{}"},{"from":"observation","value":"r"},{"from":"gpt","value":"a"}],"tools":"[{\"name\":\"f\"}]"}""",
            ["system: s", "system: You can call these tools:\n[{\"name\":\"f\"}]", "user: q", "assistant: {}", "tool: r", "assistant: a"]
        },
        { "prompt-completion", """{"prompt":"p","completion":"c"}""", ["user: p", "assistant: c"] },
        { "question-answer", """{"question":"q","answer":"a","id":7}""", ["user: q", "assistant: a"] },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task Run_EachShape_ReadsItsMessages(string shape, string row, string[] messages)
    {
        var ingested = await IngestAsync(row);
        Assert.Equal(shape, ingested.Shape);
        var read = Assert.Single(await AllRowsAsync(ingested));
        Assert.Equal(messages, read.Messages.Select(message => $"{message.Role}: {message.Content}"));
        Assert.Equal(1, read.SourceLine);
    }

    [Fact]
    public async Task Run_Rows_ArePutIntoTablesThatReaderAndQueryAgreeOn()
    {
        var ingested = await IngestAsync(Lines(500));
        Assert.Equal(["test", "train", "validation"], ingested.TableVersions.Keys.Order(StringComparer.Ordinal));
        Assert.All(ingested.TableVersions.Values, version => Assert.Equal(1, version));
        Assert.Equal(500, ingested.Rows.Values.Sum());
        Assert.InRange(ingested.Rows["train"], 430, 470);
        Assert.Equal(ingested.Rows, await DatasetQuery.CountAsync(tables.Store, "d", ingested.TableVersions, Cancel));

        var rows = await AllRowsAsync(ingested);
        Assert.Equal(Enumerable.Range(1, 500).Select(line => (long)line), rows.Select(row => row.SourceLine).Order());
        Assert.All(rows, row => Assert.Equal($"a{row.SourceLine}", row.Messages[1].Content));
        Assert.All(rows, row => Assert.Matches("^[0-9a-f]{64}$", row.Id));
    }

    [Fact]
    public async Task Run_FewRows_MakesAllThreeTables()
    {
        var ingested = await IngestAsync(Chat);
        Assert.Equal(1, ingested.Rows.Values.Sum());
        Assert.Equal(ingested.Rows, await DatasetQuery.CountAsync(tables.Store, "d", ingested.TableVersions, Cancel));
    }

    [Theory]
    [InlineData(20)]
    [InlineData(21)]
    [InlineData(40)]
    public async Task Run_TwentyRowsOrMore_AlwaysHasAValidationRow(int count)
    {
        for (var seed = 0; seed < 10; seed++)
        {
            var ingested = await IngestAsync(Lines(count, first: seed * 1000));
            Assert.Equal(count, ingested.Rows.Values.Sum());
            Assert.NotEqual(0, ingested.Rows["validation"]);
        }
    }

    [Fact]
    public async Task Run_MoreRowsLater_MovesNoneBetweenSplits()
    {
        var before = await SplitsByIdAsync(await IngestAsync(Lines(300)));
        var after = await SplitsByIdAsync(await IngestAsync(Lines(600)));
        Assert.Equal(600, after.Count);
        Assert.All(before, row => Assert.Equal(row.Value, after[row.Key]));
    }

    [Fact]
    public async Task Run_Again_ReplacesTheRowsAndKeepsTheOldVersion()
    {
        var first = await IngestAsync(Lines(100));
        var second = await IngestAsync(Lines(50, first: 1000));
        Assert.All(second.TableVersions, split => Assert.Equal(first.TableVersions[split.Key] + 1, split.Value));
        Assert.Equal(100, (await AllRowsAsync(first)).Count);
        Assert.Equal(50, (await AllRowsAsync(second)).Count);
    }

    [Fact]
    public async Task Run_EqualRows_AreKeptOnce()
    {
        var ingested = await IngestAsync($"{Chat}\n{Chat.Replace(":", " : ", StringComparison.Ordinal)}\n{Chat.Replace("hello", "other", StringComparison.Ordinal)}\n");
        Assert.Equal(1, ingested.Duplicates);
        Assert.Equal([1L, 3L], (await AllRowsAsync(ingested)).Select(row => row.SourceLine).Order());
    }

    [Fact]
    public async Task Run_BomCrLfBlankLinesAndNoLastNewline_AreNoMatter()
    {
        var ingested = await IngestAsync($"\uFEFF{Pair(1)}\r\n\r\n  \n{Pair(2)}\r\n{Pair(3)}");
        Assert.Equal(0, ingested.RejectedRows);
        Assert.Equal([1L, 4L, 5L], (await AllRowsAsync(ingested)).Select(row => row.SourceLine).Order());
    }

    [Fact]
    public async Task Run_JsonArray_CountsTheLinesOfTheFile()
    {
        var ingested = await IngestAsync($"\n[\n  {Pair(1)},\n  {{\n  \"prompt\": \"]}},\\\"\\\\\",\n  \"completion\": \"[{{\"\n  }}\n,{Pair(3)}]\n\n");
        var rows = await AllRowsAsync(ingested);
        Assert.Equal([3L, 4L, 8L], rows.Select(row => row.SourceLine).Order());
        Assert.Equal(["]},\"\\", "[{"], rows.Single(row => row.SourceLine == 4).Messages.Select(message => message.Content));
    }

    [Fact]
    public async Task Run_Gzip_IsUnpacked()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(Encoding.UTF8.GetBytes(Lines(30)));
        Assert.Equal(30, Assert.IsType<IngestionOutcome.Ingested>(await RunAsync(packed.ToArray())).Rows.Values.Sum());
        await AssertRejectedAsync(packed.ToArray()[..^20], "gzip");
    }

    [Fact]
    public async Task Run_FewBadRows_AreLeftOutWithLineAndReason()
    {
        var lines = Enumerable.Range(1, 100).Select(Pair).ToArray();
        lines[1] = "{\"prompt\": \"cut off";
        lines[9] = """{"prompt":"p"}""";
        lines[19] = """{"prompt":"p","completion":5}""";
        lines[29] = """{"prompt":"p","completion":"\ud800"}""";
        lines[39] = "[1]";
        var ingested = await IngestAsync(string.Join('\n', lines));
        Assert.Equal(5, ingested.RejectedRows);
        Assert.Equal(95, ingested.Rows.Values.Sum());
        Assert.Collection(
            ingested.Rejections,
            reason => Assert.StartsWith("line 2: not valid JSON", reason, StringComparison.Ordinal),
            reason => Assert.Equal("line 10: has no completion", reason),
            reason => Assert.Equal("line 20: completion is a number, not text", reason),
            reason => Assert.StartsWith("line 30: text with an unpaired surrogate", reason, StringComparison.Ordinal),
            reason => Assert.Equal("line 40: an array, not an object", reason));
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":""},{"role":"assistant","content":"a"}]}""", "message 1: has no content")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant"}]}""", "message 2: has no content")]
    [InlineData("""{"messages":[{"role":"wizard","content":"q"}]}""", "message 1: role 'wizard' is not known")]
    [InlineData("""{"messages":[{"content":"q"}]}""", "message 1: has no role")]
    [InlineData("""{"messages":["q"]}""", "message 1: is text, not an object")]
    [InlineData("""{"messages":{}}""", "messages is an object, not an array")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}]}""", "has nothing that the assistant says")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", "message 1: has a part that is no text")]
    [InlineData("""{"messages":[{"role":"assistant","tool_calls":[{}]}]}""", "tool_calls has a call without a function")]
    [InlineData("""{"conversations":[{"from":"narrator","value":"v"}]}""", "turn 1: from 'narrator' is not known")]
    [InlineData("""{"conversations":[{"from":"human","value":7}]}""", "turn 1: value is a number, not text")]
    [InlineData("""{"instruction":"i","output":"o","history":[["u"]]}""", "history has a turn that is no pair of texts")]
    [InlineData("""{"instruction":" ","output":"o"}""", "instruction is empty")]
    public async Task Run_BadRow_IsRejectedWithTheReason(string row, string reason) => await AssertRejectedAsync(row, $"line 1: {reason}");

    [Fact]
    public async Task Run_TooManyBadRows_IsRejectedAndLeavesTheStoreEmpty()
    {
        var lines = Enumerable.Range(1, 100).Select(line => line % 10 == 0 ? "{}" : Pair(line));
        await AssertRejectedAsync(string.Join('\n', lines), "10 of 100 rows are bad, more than 5", "line 10: has no prompt");
        Assert.Empty(await tables.Store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Run_MoreBadRowsAllowed_TakesTheRest()
    {
        var text = Encoding.UTF8.GetBytes(string.Join('\n', Enumerable.Range(1, 100).Select(line => line % 2 == 0 ? "{}" : Pair(line))));
        var ingested = Assert.IsType<IngestionOutcome.Ingested>(await RunAsync(text, maxRejected: 0.5));
        Assert.Equal((50, 20), (ingested.RejectedRows, ingested.Rejections.Count));
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("  \n\n ", "empty")]
    [InlineData("[]", "empty")]
    [InlineData("this is no JSON\nnor this", "line 1: not valid JSON")]
    [InlineData("{\"prompt\": ", "line 1: not valid JSON")]
    [InlineData("{\"foo\":1,\"bar\":2}", "foo, bar", "messages", "conversations", "instruction", "completion", "question")]
    [InlineData("[{\"foo\":1,\"bar\":2}]", "foo, bar", "messages")]
    [InlineData("{\"conversations\":[],\"chosen\":{},\"rejected\":{}}", "conversations, chosen, rejected")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"},\n{\"prompt\":\"a\"", "line 2", "cut off")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"},\n]", "line 2", "missing")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\",\"completion\":\"c\"}]", "line 1", "not valid JSON")]
    [InlineData("[{\"prompt\":\"a\",\"completion\":\"b\"}]\nmore", "line 2", "after the end")]
    [InlineData("[\n{\"prompt\":\"a\",\"completion\":\"b\"},\n{prompt}]", "line 3: not valid JSON")]
    [InlineData("PK\u0003\u0004\0\0", "binary")]
    public async Task Run_BrokenFile_IsRejectedWithTheReason(string content, params string[] expected) => await AssertRejectedAsync(content, expected);

    [Fact]
    public async Task Run_Utf16_IsRejectedWithTheReason() =>
        await AssertRejectedAsync([.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes(Chat)], "UTF-16");

    [Fact]
    public async Task Run_BadUtf8_IsABadRow()
    {
        var text = Encoding.UTF8.GetBytes(Lines(100));
        text[Array.IndexOf(text, (byte)'q')] = 0xFF;
        var ingested = Assert.IsType<IngestionOutcome.Ingested>(await RunAsync(text));
        Assert.Equal(["line 1: not valid UTF-8"], ingested.Rejections);
    }

    [Fact]
    public async Task Run_HugeRow_IsABadRowAndTheNextOnesAreRead()
    {
        var huge = $$"""{"prompt":"{{new string('x', 33 << 20)}}","completion":"c"}""";
        var ingested = await IngestAsync($"{Lines(50)}{huge}\n{Lines(50, first: 1000)}");
        Assert.Equal(["line 51: longer than 32 MiB"], ingested.Rejections);
        Assert.Equal(100, ingested.Rows.Values.Sum());
        Assert.Contains(101L, (await AllRowsAsync(ingested)).Select(row => row.SourceLine));
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a\n")]
    [InlineData("-a")]
    public async Task Run_BadName_Throws(string name) =>
        await Assert.ThrowsAsync<ArgumentException>(() => DatasetIngestion.RunAsync(
            new() { Source = Stream.Null, FileName = "f", Dataset = name, Tables = tables.Store }, progress: null, Cancel));

    [Fact]
    public async Task Run_Canceled_ThrowsAndLeavesTheStoreEmpty()
    {
        using var cancel = new CancellationTokenSource();
        var progress = new Progress(_ => cancel.Cancel());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => DatasetIngestion.RunAsync(Request(Encoding.UTF8.GetBytes(Lines(5000))), progress, cancel.Token));
        Assert.Empty(await tables.Store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Run_Progress_CountsUpToTheLastRow()
    {
        var reports = new List<long>();
        await DatasetIngestion.RunAsync(Request(Encoding.UTF8.GetBytes(Lines(2500))), new Progress(report => reports.Add(report.Rows)), Cancel);
        Assert.Equal([1000, 2000, 2500], reports);
    }

    [Theory]
    [InlineData("sft/alpaca_en_demo.json", "alpaca", 999)]
    [InlineData("sft/identity.json", "alpaca", 91)]
    [InlineData("sft/gsm8k_train.jsonl", "question-answer", 7473)]
    [InlineData("sft/sharegpt_toolcall_demo.json", "sharegpt", 300)]
    public async Task Run_FilesOfOthers_KeepsEveryRow(string file, string shape, long rows)
    {
        await using var source = File.OpenRead(SharedData.Find(file));
        var outcome = await DatasetIngestion.RunAsync(
            new() { Source = source, FileName = file, Dataset = "d", Tables = tables.Store }, progress: null, Cancel);
        var ingested = Assert.IsType<IngestionOutcome.Ingested>(outcome);
        Assert.Equal((shape, 0, rows), (ingested.Shape, ingested.RejectedRows, ingested.Rows.Values.Sum() + ingested.Duplicates));
        Assert.NotEqual(0, ingested.Rows["validation"]);
        Assert.Equal(ingested.Rows, await DatasetQuery.CountAsync(tables.Store, "d", ingested.TableVersions, Cancel));
        Assert.Equal(ingested.Rows.Values.Sum(), (await AllRowsAsync(ingested)).Count);
    }

    [Fact]
    public async Task Run_PreferencePairsOfOthers_AreNotTakenForConversations()
    {
        var file = SharedData.Find("preference/dpo_en_demo.json");
        await AssertRejectedAsync(await File.ReadAllBytesAsync(file, Cancel), "chosen", "rejected", "known");
    }

    [Fact]
    public async Task Count_FolderWithSignsOfSql_CountsItsFiles()
    {
        using var odd = new TestTables("it's [1] *?%20 é");
        var outcome = await DatasetIngestion.RunAsync(
            new() { Source = new MemoryStream(Encoding.UTF8.GetBytes(Lines(50))), FileName = "f", Dataset = "d", Tables = odd.Store }, progress: null, Cancel);
        var ingested = Assert.IsType<IngestionOutcome.Ingested>(outcome);
        Assert.Equal(ingested.Rows, await DatasetQuery.CountAsync(odd.Store, "d", ingested.TableVersions, Cancel));
    }

    [Fact]
    public async Task Read_NoSuchDataset_SaysSo()
    {
        var error = await Assert.ThrowsAsync<DeltaException>(() => DatasetReader.ReadAsync(tables.Store, "none", "train", 0, Cancel).ToListAsync(Cancel).AsTask());
        Assert.Contains("datasets/none/train", error.Message, StringComparison.Ordinal);
    }

    private static string Pair(int number) => $$"""{"prompt":"q{{number}}","completion":"a{{number}}"}""";

    private static string Lines(int count, int first = 0) => string.Concat(Enumerable.Range(first + 1, count).Select(number => Pair(number) + "\n"));

    private IngestionRequest Request(byte[] content, double maxRejected = 0.05) =>
        new() { Source = new MemoryStream(content), FileName = "rows.jsonl", Dataset = "d", Tables = tables.Store, MaxRejected = maxRejected };

    private Task<IngestionOutcome> RunAsync(byte[] content, double maxRejected = 0.05) =>
        DatasetIngestion.RunAsync(Request(content, maxRejected), progress: null, Cancel);

    private async Task<IngestionOutcome.Ingested> IngestAsync(string content) =>
        Assert.IsType<IngestionOutcome.Ingested>(await RunAsync(Encoding.UTF8.GetBytes(content)));

    private Task AssertRejectedAsync(string content, params string[] expected) => AssertRejectedAsync(Encoding.UTF8.GetBytes(content), expected);

    private async Task AssertRejectedAsync(byte[] content, params string[] expected)
    {
        var rejected = Assert.IsType<IngestionOutcome.Rejected>(await RunAsync(content));
        var text = string.Join('\n', rejected.Errors);
        Assert.All(expected, part => Assert.Contains(part, text, StringComparison.OrdinalIgnoreCase));
    }

    private async Task<List<SftRow>> AllRowsAsync(IngestionOutcome.Ingested ingested)
    {
        var rows = new List<SftRow>();
        foreach (var (split, version) in ingested.TableVersions)
            rows.AddRange(await DatasetReader.ReadAsync(tables.Store, "d", split, version, Cancel).ToListAsync(Cancel));
        return rows;
    }

    private async Task<Dictionary<string, string>> SplitsByIdAsync(IngestionOutcome.Ingested ingested)
    {
        var splits = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (split, version) in ingested.TableVersions)
            await foreach (var row in DatasetReader.ReadAsync(tables.Store, "d", split, version, Cancel))
                splits.Add(row.Id, split);
        return splits;
    }

    /// <summary>Reports at once, on the thread that reports.</summary>
    private sealed class Progress(Action<IngestionProgress> report) : IProgress<IngestionProgress>
    {
        public void Report(IngestionProgress value) => report(value);
    }
}
