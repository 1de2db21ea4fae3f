using ModelOps.Tables.Datasets;
using ModelOps.Tables.Datasets.Duplicates;

namespace ModelOps.Data.Tests.Datasets;

public sealed class NearDuplicateTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    public void Dispose() => ingestion.Dispose();

    /// <summary>The standard error of 128 permutations is at most 0.045 and that of their 8 bits a little more: five of them bound one estimate.</summary>
    [Fact]
    public void Similarity_OfRandomTexts_IsTheExactJaccardWithinBounds()
    {
        var random = new Random(128);
        var errors = new List<double>();
        foreach (var words in (int[])[5, 20, 100, 1000])
            foreach (var changed in (double[])[0, 0.01, 0.05, 0.1, 0.3, 1])
                for (var round = 0; round < 10; round++)
                {
                    var one = Enumerable.Range(0, words).Select(_ => Word(random)).ToArray();
                    var other = one.Select(word => random.NextDouble() < changed ? Word(random) : word).ToArray();
                    var (a, b) = (string.Join(' ', one), string.Join(", ", other).ToUpperInvariant());
                    var exact = Jaccard(a, b);
                    var estimate = MinHash.Similarity(MinHash.Sign([a])!, MinHash.Sign([b])!);
                    Assert.InRange(estimate, exact - 0.23, exact + 0.23);
                    errors.Add(estimate - exact);
                }
        Assert.InRange(errors.Average(), -0.01, 0.01);
        Assert.InRange(Math.Sqrt(errors.Average(error => error * error)), 0, 0.045);
    }

    [Theory]
    [InlineData("The quick brown fox.", "the QUICK, brown: fox", true)]
    [InlineData("one", "one", true)]
    [InlineData("one", "two", false)]
    [InlineData("一二三四五六七八九十", "一二三四五六七八九十", true)]
    [InlineData("日本語の文章です", "別の文章がある", false)]
    public void Similarity_CaseAndPunctuation_AreNoMatter(string one, string other, bool same) =>
        Assert.Equal(same, MinHash.Similarity(MinHash.Sign([one])!, MinHash.Sign([other])!) > 0.9);

    [Fact]
    public void Sign_FixedSeeds_NeverChange()
    {
        Assert.Null(MinHash.Sign(["", "…?!"]));
        Assert.Equal("49f9da3c56320900", $"{MinHash.Sign(["The quick brown fox jumps over the lazy dog"])![0]:x16}");
    }

    [Fact]
    public async Task Run_NearDuplicates_AreReportedWithExamples()
    {
        var ingested = await ingestion.IngestAsync(Rows());
        var report = ingested.Report.NearDuplicates!;
        Assert.Equal((0.8, 128, 3, 20, false), (report.Threshold, report.Permutations, report.ShingleWords, report.Rows, report.Removed));
        Assert.Equal(Enumerable.Range(201, 20).Select(line => (long)line), report.Examples.Select(pair => pair.Line));
        Assert.All(report.Examples, pair => Assert.Equal((pair.Line - 200) * 10, pair.EarlierLine));
        Assert.All(report.Examples, pair => Assert.InRange(pair.Similarity, 0.8, 1));
        Assert.Equal(220, ingested.Report.Rows.Kept);
    }

    [Fact]
    public async Task Run_NearDuplicatesAcrossSplits_AreCountedAsLeakage()
    {
        var ingested = await ingestion.IngestAsync(Rows(), new() { Validation = 0.3, Test = 0.3 });
        var splits = await SplitsByLineAsync(ingested);
        var crossing = Enumerable.Range(201, 20).Where(line => splits[line] != splits[(line - 200) * 10]).ToList();
        var report = ingested.Report.NearDuplicates!;
        Assert.InRange(crossing.Count, 5, 19);
        Assert.Equal(crossing.Count, report.AcrossSplits);
        Assert.All(report.AcrossSplitsExamples, pair => Assert.Equal((splits[pair.Line], splits[pair.EarlierLine]), (pair.Split, pair.EarlierSplit)));
    }

    [Fact]
    public async Task Run_RemoveNearDuplicates_KeepsTheFirstOfThem()
    {
        var ingested = await ingestion.IngestAsync(Rows(), new() { NearDuplicates = "remove", Validation = 0.3, Test = 0.3 });
        var report = ingested.Report;
        Assert.Equal((220, 200, 20), (report.Rows.Read, report.Rows.Kept, report.Rows.NearDuplicatesRemoved));
        Assert.Equal((20, true, 0), (report.NearDuplicates!.Rows, report.NearDuplicates.Removed, report.NearDuplicates.AcrossSplits));
        Assert.Equal(Enumerable.Range(1, 200).Select(line => (long)line), (await ingestion.RowsAsync(ingested)).Select(row => row.SourceLine));
        Assert.Equal(200, report.Statistics.MessagesByRole["user"]);
    }

    [Fact]
    public async Task Run_NearDuplicatesOff_AreNotLookedFor() =>
        Assert.Null((await ingestion.IngestAsync(Rows(), new() { NearDuplicates = "off" })).Report.NearDuplicates);

    [Fact]
    public async Task Run_ManyAlikeRows_AreAllFound()
    {
        var text = string.Join(' ', Enumerable.Range(0, 200).Select(number => $"word{number}"));
        var rows = string.Concat(Enumerable.Range(0, 3000).Select(number => $$"""{"text":"{{text}} end{{number}}"}""" + "\n"));
        Assert.Equal(2999, (await ingestion.IngestAsync(rows)).Report.NearDuplicates!.Rows);
    }

    /// <summary>200 different rows, then every tenth of them again with one word changed.</summary>
    private static string Rows()
    {
        var random = new Random(3);
        var rows = Enumerable.Range(0, 200).Select(_ => Enumerable.Range(0, 120).Select(_ => Word(random)).ToArray()).ToList();
        for (var i = 9; i < 200; i += 10) rows.Add([.. rows[i][..60], "changed", .. rows[i][61..]]);
        return string.Concat(rows.Select(row => $$"""{"prompt":"{{string.Join(' ', row[..20])}}","completion":"{{string.Join(' ', row[20..])}}"}""" + "\n"));
    }

    private async Task<Dictionary<long, string>> SplitsByLineAsync(IngestionOutcome.Ingested ingested)
    {
        var byId = await ingestion.SplitsByIdAsync(ingested);
        return (await ingestion.RowsAsync(ingested)).ToDictionary(row => row.SourceLine, row => byId[row.Id]);
    }

    private static string Word(Random random) => $"w{random.Next(10_000)}";

    private static double Jaccard(string one, string other)
    {
        var (a, b) = (MinHash.Shingles([one]).ToHashSet(), MinHash.Shingles([other]).ToHashSet());
        return (double)a.Intersect(b).Count() / a.Union(b).Count();
    }

    [Fact]
    public void IdSet_ManyIds_AgreesWithAHashSet()
    {
        var random = new Random(5);
        var (ids, expected) = (new IdSet(), new HashSet<UInt128>());
        for (var i = 0; i < 20_000; i++)
        {
            var id = new UInt128((ulong)random.Next(3), (ulong)random.Next(6000)); // near each other, and again and again
            Assert.Equal(expected.Add(id), ids.Add(id));
        }
        Assert.InRange(expected.Count, 10_000, 18_000);
    }
}
