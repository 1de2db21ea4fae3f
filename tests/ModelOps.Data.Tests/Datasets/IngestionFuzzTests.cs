using System.Text;
using ModelOps.Data.Tests.Delta;
using ModelOps.Tables.Datasets;

namespace ModelOps.Data.Tests.Datasets;

public sealed class IngestionFuzzTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    public void Dispose() => ingestion.Dispose();

    /// <summary>Whatever the bytes: an outcome, never an exception; every row is counted once and what was kept reads back.</summary>
    [Theory]
    [InlineData("jsonl", 60)]
    [InlineData("json", 200)]
    [InlineData("csv", 60)]
    public async Task Run_AnyBytes_IsAnOutcomeThatAccountsForEveryRow(string format, int rounds)
    {
        string[] rows =
        [
            """{"messages":[{"role":"user","content":"é😀\u00e9"},{"role":"assistant","content":"a\\\"b"}]}""",
            """{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}""",
            """{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}],"tools":[]}""",
        ];
        var original = TestIngestion.Utf8(format switch
        {
            "json" => $"[{string.Join(",\n", rows)}]",
            "jsonl" => string.Join('\n', rows),
            _ => "prompt,completion\n\"é😀, \"\"q\"\"\",\"two\nlines\"\na,b\n\"c\",d\n",
        });
        var random = new Random(21);
        var (kept, refused) = (0, 0);
        for (var round = 0; round < rounds; round++)
        {
            var outcome = await ingestion.RunAsync(Mutation.Of(original, random), new() { MaxBad = "100%", Format = format });
            if (outcome is IngestionOutcome.Ingested ingested)
            {
                kept++;
                var counts = ingested.Report.Rows;
                Assert.Equal(counts.Read, counts.Kept + counts.Quarantined + counts.ExactDuplicates + counts.NearDuplicatesRemoved);
                Assert.Equal(counts.Kept, (await ingestion.RowsAsync(ingested)).Count);
                Assert.Equal(counts.Quarantined, (await ingestion.QuarantineAsync(ingested)).Count);
            }
            else
            {
                refused++;
                Assert.All(Assert.IsType<IngestionOutcome.Rejected>(outcome).Errors, error => Assert.NotEqual("", error));
            }
        }
        Assert.True(kept > 10 && refused > 3, $"{kept} kept, {refused} refused: one side is hardly tried");
    }

    /// <summary>What a generator writes by RFC 4180 reads back as it was, whatever the delimiter and the texts.</summary>
    [Fact]
    public async Task Run_GeneratedCsv_ReadsBack()
    {
        string[] pieces = ["a", "é", "😀", ",", ";", "\t", "|", "\"", "\"\"", "\n", "\r\n", " ", "x\"y", "''", "{", "["];
        var random = new Random(4180);
        foreach (var delimiter in ",;\t|")
            for (var round = 0; round < 8; round++)
            {
                var rows = Enumerable.Range(0, 40).Select(_ => (Prompt: Text(), Completion: Text())).Distinct().ToList();
                var csv = string.Concat(rows.Select(row => $"{Field(row.Prompt)}{delimiter}{Field(row.Completion)}{(random.Next(2) == 0 ? "\n" : "\r\n")}"));
                var ingested = await ingestion.IngestAsync($"prompt{delimiter}completion\n{csv}", new() { NearDuplicates = "off" }, "rows.csv");
                var read = (await ingestion.RowsAsync(ingested)).Select(row => (row.Messages[0].Content, row.Messages[1].Content));
                Assert.Equal(rows, read);

                string Field(string text) => random.Next(2) == 0 || text.AsSpan().ContainsAny([.. "\",;\t|\r\n"]) ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
            }

        string Text() => "t" + string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => pieces[random.Next(pieces.Length)])) + "z";
    }

    [Fact]
    public async Task Run_RowsOfAllLengthsAroundTheBuffer_ReadBack()
    {
        foreach (var length in (int[])[65_535, 65_536, 65_537, 131_072, 200_000])
            foreach (var first in (int[])[0, 1, 40, 65_500])
            {
                var text = new StringBuilder().Append($$"""{"text":"{{new string('a', first + 1)}}"}""").Append('\n')
                    .Append($$"""{"text":"{{new string('b', length)}}"}""").Append('\n').Append("""{"text":"c"}""").ToString();
                var rows = await ingestion.RowsAsync(await ingestion.IngestAsync(text, new() { NearDuplicates = "off" }));
                Assert.Equal([first + 1, length, 1], rows.Select(row => row.Messages[0].Content.Length));
            }
    }
}
