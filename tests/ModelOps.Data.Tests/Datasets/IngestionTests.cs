using System.Text.Json;
using ModelOps.Data.Tests.Delta;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Datasets.Queries;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Datasets;

public sealed class IngestionTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => ingestion.Dispose();

    [Fact]
    public async Task Run_Rows_ArePutIntoTablesThatReaderAndQueryAgreeOn()
    {
        var ingested = await ingestion.IngestAsync(TestIngestion.Lines(500));
        Assert.Equal(["quarantine", "test", "train", "validation"], ingested.TableVersions.Keys.Order(StringComparer.Ordinal));
        Assert.All(ingested.TableVersions.Values, version => Assert.Equal(1, version));
        Assert.Equal((500, 500), (ingested.Report.Splits.Values.Sum(), ingested.Report.Rows.Kept));
        Assert.InRange(ingested.Report.Splits["train"], 430, 470);
        var counted = await QueryTables.CountAsync(ingestion.Tables.Store, "d", ingested.TableVersions, Cancel);
        Assert.Equal(ingested.Report.Splits.Append(new("quarantine", 0)), counted);

        var rows = await ingestion.RowsAsync(ingested);
        Assert.Equal(Enumerable.Range(1, 500).Select(line => (long)line), rows.Select(row => row.SourceLine));
        Assert.All(rows, row => Assert.Equal($"a{row.SourceLine}", row.Messages[1].Content));
        Assert.All(rows, row => Assert.Matches("^[0-9a-f]{64}$", row.Id));
    }

    [Fact]
    public async Task Run_Again_ReplacesTheRowsAndKeepsTheOldVersion()
    {
        var first = await ingestion.IngestAsync(TestIngestion.Lines(100));
        var second = await ingestion.IngestAsync(TestIngestion.Lines(50, first: 1000));
        Assert.All(second.TableVersions, split => Assert.Equal(first.TableVersions[split.Key] + 1, split.Value));
        Assert.Equal(100, (await ingestion.RowsAsync(first)).Count);
        Assert.Equal(50, (await ingestion.RowsAsync(second)).Count);
    }

    [Fact]
    public async Task Run_EqualRows_AreKeptOnce()
    {
        var ingested = await ingestion.IngestAsync(
            $"{TestIngestion.Chat}\n{TestIngestion.Chat.Replace(":", " : ", StringComparison.Ordinal)}\n{TestIngestion.Chat.Replace("hello", "other", StringComparison.Ordinal)}\n");
        Assert.Equal((3, 2, 1), (ingested.Report.Rows.Read, ingested.Report.Rows.Kept, ingested.Report.Rows.ExactDuplicates));
        Assert.Equal([1L, 3L], (await ingestion.RowsAsync(ingested)).Select(row => row.SourceLine));
    }

    [Fact]
    public async Task Run_BomCrLfBlankLinesAndNoLastNewline_AreNoMatter()
    {
        var ingested = await ingestion.IngestAsync($"\uFEFF{TestIngestion.Pair(1)}\r\n\r\n  \n{TestIngestion.Pair(2)}\r\n{TestIngestion.Pair(3)}");
        Assert.Equal(0, ingested.Report.Rows.Quarantined);
        Assert.Equal([1L, 4L, 5L], (await ingestion.RowsAsync(ingested)).Select(row => row.SourceLine));
    }

    [Fact]
    public async Task Run_JsonArray_CountsTheLinesOfTheFile()
    {
        var ingested = await ingestion.IngestAsync(
            $"\n[\n  {TestIngestion.Pair(1)},\n  {{\n  \"prompt\": \"]}},\\\"\\\\\",\n  \"completion\": \"[{{\"\n  }}\n,{TestIngestion.Pair(3)}]\n\n");
        var rows = await ingestion.RowsAsync(ingested);
        Assert.Equal([3L, 4L, 8L], rows.Select(row => row.SourceLine));
        Assert.Equal(["]},\"\\", "[{"], rows[1].Messages.Select(message => message.Content));
    }

    [Fact]
    public async Task Run_FewBadRows_ArePutIntoQuarantineWithLineReasonAndText()
    {
        var lines = Enumerable.Range(1, 100).Select(TestIngestion.Pair).ToArray();
        lines[1] = "{\"prompt\": \"cut off";
        lines[9] = """{"prompt":"p"}""";
        lines[19] = """{"prompt":"p","completion":5}""";
        lines[29] = """{"prompt":"p","completion":"\ud800"}""";
        lines[39] = $"{{\"prompt\":\"{new string('x', 10_000)}\"}}";
        var ingested = await ingestion.IngestAsync(string.Join('\n', lines));
        var report = ingested.Report;
        Assert.Equal((5, 95), (report.Rows.Quarantined, report.Rows.Kept));
        Assert.Collection(
            report.Quarantine.Examples,
            row => Assert.Equal("2 not valid JSON (Expected end of string, but instead reached end of data, at byte 20 of the line)", $"{row.Line} {row.Reason}"),
            row => Assert.Equal((10, "has no completion"), (row.Line, row.Reason)),
            row => Assert.Equal((20, "completion is a number, not text"), (row.Line, row.Reason)),
            row => Assert.Equal((30, "text with an unpaired surrogate (\\ud800 to \\udfff)"), (row.Line, row.Reason)),
            row => Assert.Equal((40, "has no completion"), (row.Line, row.Reason)));
        Assert.Equal(("has no completion", 2, 10), (report.Quarantine.Reasons[0].Reason, report.Quarantine.Reasons[0].Rows, report.Quarantine.Reasons[0].FirstLine));
        Assert.Equal(4, report.Quarantine.Reasons.Count);

        var quarantine = await ingestion.QuarantineAsync(ingested);
        Assert.Equal([2L, 10L, 20L, 30L, 40L], quarantine.Select(row => row.Line));
        Assert.Equal(lines[1], quarantine[0].Raw);
        Assert.Equal($"{lines[39][..4096]}…", quarantine[4].Raw);
    }

    [Theory]
    [InlineData("5%", 5, false)]
    [InlineData("5%", 6, true)]
    [InlineData("0", 1, true)]
    [InlineData("0", 0, false)]
    [InlineData("6", 6, false)]
    [InlineData("5.5%", 6, true)]
    [InlineData("100%", 99, false)]
    public async Task Run_MaxBad_DecidesFailure(string maxBad, int bad, bool fails)
    {
        var text = string.Join('\n', Enumerable.Range(1, 100).Select(line => line > 100 - bad ? "{}" : TestIngestion.Pair(line)));
        var outcome = await ingestion.RunAsync(TestIngestion.Utf8(text), new() { MaxBad = maxBad });
        Assert.Equal(fails, outcome is IngestionOutcome.Rejected);
        if (outcome is not IngestionOutcome.Rejected rejected) return;
        Assert.Equal($"{bad} of 100 rows are bad, more than {maxBad} (--max-bad)", rejected.Errors[0]);
        Assert.Equal($"{bad} row{(bad == 1 ? "" : "s")}: has no prompt, first on line {101 - bad}", rejected.Errors[1]);
        Assert.Equal($"line {101 - bad}: has no prompt", rejected.Errors[2]);
        Assert.Empty(await ingestion.Tables.Store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Run_OnePercentBroken_KeepsTheRest()
    {
        var random = new Random(5);
        var lines = Enumerable.Range(0, 20_000).Select(line => line % 100 == 42 ? TestIngestion.Pair(line)[..random.Next(1, 10)] : TestIngestion.Pair(line));
        var ingested = await ingestion.IngestAsync(string.Join('\n', lines), new() { NearDuplicates = "off" });
        Assert.Equal((20_000, 19_800, 200), (ingested.Report.Rows.Read, ingested.Report.Rows.Kept, ingested.Report.Rows.Quarantined));
        Assert.Equal((200, 20), ((await ingestion.QuarantineAsync(ingested)).Count, ingested.Report.Quarantine.Examples.Count));
    }

    [Fact]
    public async Task Run_HugeRow_IsABadRowAndTheNextOnesAreRead()
    {
        var huge = $$"""{"prompt":"{{new string('x', 33 << 20)}}","completion":"c"}""";
        var ingested = await ingestion.IngestAsync($"{TestIngestion.Lines(50)}{huge}\n{TestIngestion.Lines(50, first: 1000)}");
        Assert.Equal((51, "longer than 32 MiB"), (ingested.Report.Quarantine.Examples[0].Line, ingested.Report.Quarantine.Examples[0].Reason));
        Assert.Equal((100, 1), (ingested.Report.Rows.Kept, ingested.Report.Rows.Quarantined));
        Assert.Contains(101L, (await ingestion.RowsAsync(ingested)).Select(row => row.SourceLine));
        Assert.Equal($"{huge[..4096]}", Assert.Single(await ingestion.QuarantineAsync(ingested)).Raw);
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a\n")]
    [InlineData("-a")]
    public async Task Run_BadName_Throws(string name) =>
        await Assert.ThrowsAsync<ArgumentException>(() => DatasetIngestion.RunAsync(
            new() { Source = Stream.Null, FileName = "f", Dataset = name, Tables = ingestion.Tables.Store }, progress: null, Cancel));

    [Fact]
    public async Task Run_Canceled_ThrowsAndLeavesTheStoreEmpty()
    {
        using var cancel = new CancellationTokenSource();
        var progress = new Progress(_ => cancel.Cancel());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => DatasetIngestion.RunAsync(ingestion.Request(TestIngestion.Utf8(TestIngestion.Lines(5000))), progress, cancel.Token));
        Assert.Empty(await ingestion.Tables.Store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task Run_Progress_CountsUpToTheLastRowAndByte()
    {
        var reports = new List<IngestionProgress>();
        var content = TestIngestion.Utf8(TestIngestion.Lines(10_500));
        await DatasetIngestion.RunAsync(ingestion.Request(content), new Progress(reports.Add), Cancel);
        Assert.Equal([.. Enumerable.Range(1, 10).Select(thousand => thousand * 1000L), 10_500], reports.Select(report => report.Rows));
        Assert.Equal(reports.Select(report => report.BytesRead).Order(), reports.Select(report => report.BytesRead));
        Assert.True(reports[0].BytesRead < content.Length, "the file is read piece by piece");
        Assert.Equal((content.Length, content.Length), (reports[^1].BytesRead, reports[^1].Bytes));
    }

    [Fact]
    public async Task Run_Report_HasStatisticsOfTheRows()
    {
        var rows = """
            {"messages":[{"role":"system","content":"ab"},{"role":"user","content":"привет"},{"role":"assistant","content":"日本"}]}
            {"messages":[{"role":"user","content":"x1!"},{"role":"assistant","content":"yy"},{"role":"user","content":"z"},{"role":"assistant","content":"ω"}],"tools":[{"a":1}]}
            """;
        var request = ingestion.Request(TestIngestion.Utf8(rows)) with { CountTokens = text => text.Length * 2 };
        var outcome = await DatasetIngestion.RunAsync(request, progress: null, Cancel);
        var statistics = Assert.IsType<IngestionOutcome.Ingested>(outcome).Report.Statistics;
        Assert.Equal(
            new Dictionary<string, long> { ["assistant"] = 3, ["system"] = 1, ["user"] = 3 }, statistics.MessagesByRole);
        Assert.Equal((7, 3, 3.5, 4), (statistics.Turns.Total, statistics.Turns.Least, statistics.Turns.Mean, statistics.Turns.Most));
        Assert.Equal((26, 10, 13, 16), (statistics.Characters.Total, statistics.Characters.Least, statistics.Characters.Mean, statistics.Characters.Most));
        Assert.Equal((52, 20, 32, 32), (statistics.Tokens!.Total, statistics.Tokens.P50, statistics.Tokens.P95, statistics.Tokens.Most));
        Assert.Equal(1, statistics.RowsWithTools);
        Assert.Equal([(2L, 16L, 32L), (1L, 10L, 20L)], statistics.LongestRows.Select(row => (row.Line, row.Characters, row.Tokens!.Value)));
        Assert.Equal(
            [("Latin", 7), ("Cyrillic", 6), ("Han", 2), ("Greek", 1)], statistics.Scripts.Select(script => (script.Key, (int)script.Value)));
    }

    [Fact]
    public async Task Run_Statistics_HavePercentilesAndRankByTokens()
    {
        var random = new Random(3);
        var lengths = Enumerable.Range(1, 200).OrderBy(_ => random.Next()).ToList();
        var rows = string.Concat(lengths.Select(length => $$"""{"text":"{{new string('x', length)}}"}""" + "\n"));
        var request = ingestion.Request(TestIngestion.Utf8(rows)) with { CountTokens = text => 1000 - text.Length };
        var outcome = await DatasetIngestion.RunAsync(request, progress: null, Cancel);
        var statistics = Assert.IsType<IngestionOutcome.Ingested>(outcome).Report.Statistics;
        Assert.Equal((1, 100, 190, 200), (statistics.Characters.Least, statistics.Characters.P50, statistics.Characters.P95, statistics.Characters.Most));
        Assert.Equal((899, 989), (statistics.Tokens!.P50, statistics.Tokens.P95));
        Assert.Equal([1L, 2, 3, 4, 5], statistics.LongestRows.Select(row => row.Characters)); // of the most tokens here
    }

    [Theory]
    [InlineData("""{"format":"xlsx"}""", "format must be one of jsonl, json, csv, tsv, parquet, text, not 'xlsx'")]
    [InlineData("""{"shape":"poem"}""", "shape must be one of preference, kto, chat")]
    [InlineData("""{"map":{"a":"nonsense"}}""", "map a=nonsense: 'nonsense' is no known name")]
    [InlineData("""{"map":{"a":"prompt","b":"prompt"}}""", "map gives prompt to several columns: a, b")]
    [InlineData("""{"validation":1.5}""", "validation must be from 0 to 1, not 1.5")]
    [InlineData("""{"validation":0.6,"test":0.6}""", "validation and test are 1.2 together")]
    [InlineData("""{"max_bad":"many"}""", "max_bad must be a count of rows or a percentage such as 5%, not 'many'")]
    [InlineData("""{"max_bad":"-1"}""", "max_bad")]
    [InlineData("""{"max_bad":"101%"}""", "max_bad")]
    [InlineData("""{"pii":"hide"}""", "pii must be one of off, report, mask")]
    [InlineData("""{"near_duplicates":"yes"}""", "near_duplicates must be one of off, report, remove")]
    public void Check_BadOption_IsNamed(string json, string expected) =>
        Assert.Contains(expected, Assert.Single(JsonSerializer.Deserialize(json, IngestionJson.Default.IngestionOptions)!.Check()), StringComparison.Ordinal);

    [Fact]
    public void Check_NullAndAbsent_AreTheDefaults()
    {
        var options = JsonSerializer.Deserialize(
            """{"map":null,"max_bad":null,"pii":null,"near_duplicates":null,"format":null}""", IngestionJson.Default.IngestionOptions)!;
        Assert.Empty(options.Check());
        Assert.Equal(("5%", "off", "report", 0.05), (options.MaxBad, options.Pii, options.NearDuplicates, options.Validation));
    }

    [Fact]
    public async Task Count_FolderWithSignsOfSql_CountsItsFiles()
    {
        using var odd = new TestTables("it's [1] *?%20 é");
        var outcome = await DatasetIngestion.RunAsync(
            ingestion.Request(TestIngestion.Utf8(TestIngestion.Lines(50))) with { Tables = odd.Store }, progress: null, Cancel);
        var ingested = Assert.IsType<IngestionOutcome.Ingested>(outcome);
        Assert.Equal(50, (await QueryTables.CountAsync(odd.Store, "d", ingested.TableVersions, Cancel)).Values.Sum());
    }

    [Fact]
    public async Task Read_NoSuchDataset_SaysSo()
    {
        var error = await Assert.ThrowsAsync<DeltaException>(() => DatasetReader.ReadAsync(ingestion.Tables.Store, "none", "train", 0, Cancel).ToListAsync(Cancel).AsTask());
        Assert.Contains("datasets/none/train", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Reports at once, on the thread that reports.</summary>
    private sealed class Progress(Action<IngestionProgress> report) : IProgress<IngestionProgress>
    {
        public void Report(IngestionProgress value) => report(value);
    }
}
