using ModelOps.Tables.Datasets.Queries;

namespace ModelOps.Data.Tests.Datasets;

public sealed class SplitTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    public void Dispose() => ingestion.Dispose();

    [Fact]
    public async Task Run_FewRows_MakesAllTables()
    {
        var ingested = await ingestion.IngestAsync(TestIngestion.Chat);
        Assert.Equal(1, ingested.Report.Splits.Values.Sum());
        Assert.Equal(1, (await QueryTables.CountAsync(ingestion.Tables.Store, "d", ingested.TableVersions, TestIngestion.Cancel)).Values.Sum());
    }

    [Theory]
    [InlineData(20)]
    [InlineData(21)]
    [InlineData(40)]
    public async Task Run_TwentyRowsOrMore_AlwaysHasAValidationRow(int count)
    {
        for (var seed = 0; seed < 10; seed++)
        {
            var ingested = await ingestion.IngestAsync(TestIngestion.Lines(count, first: seed * 1000));
            Assert.Equal(count, ingested.Report.Splits.Values.Sum());
            Assert.NotEqual(0, ingested.Report.Splits["validation"]);
        }
    }

    [Fact]
    public async Task Run_MoreRowsInAnyOrder_MovesNoneBetweenSplits()
    {
        var random = new Random(11);
        var rows = Enumerable.Range(1, 900).Select(TestIngestion.Pair).ToArray();
        Dictionary<string, string>? before = null;
        foreach (var count in (int[])[300, 500, 900])
        {
            var some = rows[..count];
            random.Shuffle(some);
            var after = await ingestion.SplitsByIdAsync(await ingestion.IngestAsync(string.Join('\n', some)));
            Assert.Equal(count, after.Count);
            Assert.All(before ?? [], row => Assert.Equal(row.Value, after[row.Key]));
            before = after;
        }
    }

    [Fact]
    public async Task Run_AnotherFormat_PutsRowsIntoTheSameSplits()
    {
        var jsonl = await ingestion.SplitsByIdAsync(await ingestion.IngestAsync(TestIngestion.Lines(300)));
        var csv = string.Concat(Enumerable.Range(1, 300).Select(number => $"q{number},a{number}\n"));
        Assert.Equal(jsonl, await ingestion.SplitsByIdAsync(await ingestion.IngestAsync($"prompt,completion\n{csv}", fileName: "rows.csv")));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.2, 0)]
    [InlineData(0, 0.3)]
    [InlineData(0.25, 0.5)]
    [InlineData(0.5, 0.5)]
    public async Task Run_Shares_AreKeptClosely(double validation, double test)
    {
        var ingested = await ingestion.IngestAsync(TestIngestion.Lines(4000), new() { Validation = validation, Test = test, NearDuplicates = "off" });
        // Four standard deviations of a binomial of 4000.
        Assert.InRange(ingested.Report.Splits["validation"], (4000 * validation) - 127, (4000 * validation) + 127);
        Assert.InRange(ingested.Report.Splits["test"], (4000 * test) - 127, (4000 * test) + 127);
        if (validation == 0) Assert.Equal(0, ingested.Report.Splits["validation"]);
        if (test == 0) Assert.Equal(0, ingested.Report.Splits["test"]);
    }
}
