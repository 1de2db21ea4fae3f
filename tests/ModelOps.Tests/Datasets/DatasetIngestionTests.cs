using System.Text.Json;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Datasets.Queries;
using ModelOps.Tests.Cli;
using ModelOps.Tests.Gateway;

namespace ModelOps.Tests.Datasets;

/// <summary>From the flags of the command line to the tables and back: the server, its worker and the command are the real ones.</summary>
public sealed class DatasetIngestionTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private static readonly string WordSmith = Path.Combine(Repository.RepositoryRoot.Path, "samples/models/wordsmith");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Options and report cross the workflow as documents: what one side writes, the other must know.</summary>
    [Fact]
    public void Documents_OfTheWireAndOfTheIngestion_HaveTheSameSchema()
    {
        Assert.Equal(Properties(IngestionJson.Default.IngestionReport), Properties(WireJson.Default.IngestionReport));
        Assert.Equal(Properties(IngestionJson.Default.IngestionOptions), Properties(WireJson.Default.IngestionOptions));
        Assert.Equal(Properties(QueryJson.Default.DatasetPreview), Properties(WireJson.Default.DatasetPreview));
    }

    [Fact]
    public async Task Create_WithEveryFlag_DoesWhatTheySay()
    {
        var rows = Enumerable.Range(0, 200).Select(i => $"{i};What is number {i}?;It is {i}, ask ada{i}@example.org")
            .Append("broken").Append("7;What is number 7?;It is 7, ask ada7@example.org");
        var file = await WriteAsync("tickets.txt", rows.Prepend("id;body;reply"));
        var created = await RunAsync(
            "datasets", "create", "tickets", file, "--format", "csv", "--shape", "prompt-completion", "--map", "body=prompt", "--map", "reply=completion",
            "--validation", "0.2", "--test", "0", "--max-bad", "1", "--pii", "mask", "--near-duplicates", "off");
        Assert.Equal((ExitCodes.Done, ""), (created.Code, created.Code == ExitCodes.Done ? "" : created.Error));
        Assert.Contains("rows for sft", created.Out, StringComparison.Ordinal);
        Assert.Contains("202 read, 200 kept, 1 exact duplicates left out", created.Out, StringComparison.Ordinal);
        Assert.Contains("1: has another number of fields, first on line 202", created.Out, StringComparison.Ordinal);
        Assert.Contains("201 email masked", created.Out, StringComparison.Ordinal);

        var shown = await RunAsync("datasets", "show", "tickets@1");
        Assert.Contains("tickets@1", shown.Out, StringComparison.Ordinal);
        Assert.Contains("csv (stated), shape prompt-completion (stated)", shown.Out, StringComparison.Ordinal);
        var version = Assert.Single((await fixture.Server.Client.Datasets.GetAsync("tickets", "1", Cancel)).Versions);
        Assert.Equal((1, 200, 0), (version.RejectedRows, version.Report!.Rows.Kept, version.Report.Splits["test"]));
        Assert.InRange(version.Report.Splits["validation"], 20, 60);
        Assert.Null(version.Report.NearDuplicates);
        var artifact = await fixture.Server.Client.Artifacts.GetAsync("tickets@1", Cancel);
        Assert.Equal(["ingestion-report.json", "tickets.txt"], artifact.Files.Select(part => part.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Create_NewFileForADataset_ReportsTheNewestAndKeepsTheOld()
    {
        foreach (var count in (int[])[30, 50])
            await RunAsync("datasets", "create", "growing", await WriteAsync("rows.jsonl", Enumerable.Range(0, count).Select(i => $$"""{"text":"row {{i}}"}""")));
        var dataset = await fixture.Server.Client.Datasets.GetAsync("growing", cancellationToken: Cancel);
        Assert.Equal(["text", "text"], dataset.Versions.Select(version => version.Task));
        Assert.Null(dataset.Versions[0].Report);
        Assert.Equal(50, dataset.Versions[1].Report!.Rows.Kept);
        Assert.Equal(30, (await fixture.Server.Client.Datasets.GetAsync("growing", "1", Cancel)).Versions[0].Report!.Rows.Kept);
        var missing = await Assert.ThrowsAsync<ModelOpsException>(() => fixture.Server.Client.Datasets.GetAsync("growing", "9", Cancel));
        Assert.Equal(ProblemTypes.NotFound, missing.Problem.Type);
    }

    [Theory]
    [InlineData("1%", true)]
    [InlineData("0.9%", false)]
    public async Task Create_OnePercentOfTheRowsBroken_IsDecidedByMaxBad(string maxBad, bool passes)
    {
        var name = passes ? "cracked" : "broken";
        var rows = Enumerable.Range(1, 1000).Select(i => i % 100 == 42 ? $$"""{"prompt":"q{{i}}""" : $$"""{"prompt":"q{{i}}","completion":"a{{i}}"}""");
        var created = await RunAsync("datasets", "create", name, await WriteAsync("rows.jsonl", rows), "--max-bad", maxBad);
        Assert.Equal(passes ? ExitCodes.Done : ExitCodes.Failed, created.Code);
        var said = passes ? created.Out : created.Error;
        Assert.Contains("line 42: not valid JSON", said, StringComparison.Ordinal);
        Assert.Contains(passes ? "1000 read, 990 kept" : "10 of 1000 rows are bad, more than 0.9% (--max-bad)", said, StringComparison.Ordinal);
        if (!passes)
        {
            Assert.DoesNotContain(name, (await RunAsync("datasets", "list")).Out, StringComparison.Ordinal);
            return;
        }
        var reasons = await RunAsync("datasets", "query", name, "SELECT reason, count(*) FROM quarantine GROUP BY ALL");
        Assert.Contains("not valid JSON", reasons.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "rows.jsonl is empty: it has 0 bytes")]
    [InlineData("\u007FELF\u0002\u0001\u0001\0\0\0\0", "rows.jsonl is a binary file")]
    public async Task Create_FileWithoutRows_FailsAndLeavesNoDataset(string content, string reason)
    {
        var file = await WriteAsync("rows.jsonl", []);
        await File.WriteAllTextAsync(file, content, Cancel);
        var created = await RunAsync("datasets", "create", "nothing", file);
        Assert.Equal(ExitCodes.Failed, created.Code);
        Assert.Contains(reason, created.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("nothing", (await RunAsync("datasets", "list")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Preview_OfAFile_ShowsItsRowsAndMakesNothing()
    {
        var file = await WriteAsync("rows.csv", Enumerable.Range(0, 30).Select(i => $"q{i},a{i}").Prepend("prompt,completion").Append("alone"));
        var shown = await RunAsync("datasets", "preview", file);
        Assert.True(shown.Code == ExitCodes.Done, shown.Error);
        Assert.Contains("31 read, 30 kept", shown.Out, StringComparison.Ordinal);
        Assert.Contains("a7", shown.Out, StringComparison.Ordinal);
        Assert.Contains("alone", shown.Out, StringComparison.Ordinal);
        var refused = await RunAsync("datasets", "preview", file, "--max-bad", "0", "--json");
        Assert.Equal(ExitCodes.Failed, refused.Code);
        Assert.Equal("1 of 31 rows are bad, more than 0 (--max-bad)", Assert.Single(JsonSerializer.Deserialize(refused.Out, WireJson.Default.DatasetPreview)!.Errors));
        await File.WriteAllTextAsync(file, "%PDF-1.7", Cancel);
        var binary = await RunAsync("datasets", "preview", file);
        Assert.Equal(ExitCodes.Usage, binary.Code);
        Assert.Contains("rows.csv is a binary file, a PDF document", binary.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(fixture.Server.Home, "tmp", "previews")));
    }

    [Fact]
    public async Task Create_TheSameFileAgain_IsRefusedUnlessItIsTakenOtherwise()
    {
        var file = await WriteAsync("rows.jsonl", Enumerable.Range(0, 30).Select(i => $$"""{"text":"row {{i}}"}"""));
        await RunAsync("datasets", "create", "twice", file);
        var again = await RunAsync("datasets", "create", "twice", file);
        Assert.Equal(ExitCodes.Conflict, again.Code);
        Assert.Contains("rows.jsonl is the file of twice@1 already", again.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Done, (await RunAsync("datasets", "create", "twice", file, "--pii", "report")).Code);
        Assert.Equal(ExitCodes.Done, (await RunAsync("datasets", "create", "twice", file)).Code); // what it was taken for before last
        Assert.Equal(3, (await fixture.Server.Client.Datasets.GetAsync("twice", cancellationToken: Cancel)).Versions.Count);
    }

    [Fact]
    public async Task Create_WithATokenizer_CountsTokensWithIt()
    {
        await RunAsync("models", "import", WordSmith, "--name", "counter");
        string[] texts = ["one", "What is a dog?", "It is a domestic animal that barks."];
        var file = await WriteAsync("rows.jsonl", texts.Select(text => JsonSerializer.Serialize(new { text })));
        var created = await RunAsync("datasets", "create", "counted", file, "--tokenizer", "counter");
        Assert.True(created.Code == ExitCodes.Done, created.Error);
        var report = (await fixture.Server.Client.Datasets.GetAsync("counted", cancellationToken: Cancel)).Versions[0].Report!;
        var (tokens, longest) = (report.Statistics.Tokens!, report.Statistics.LongestRows);
        Assert.Equal([3L, 2, 1], longest.Select(row => row.Line));
        Assert.All(longest, row => Assert.InRange(row.Tokens!.Value, 1, row.Characters - 1)); // words, not letters
        Assert.Equal(
            (longest.Sum(row => row.Tokens), longest[1].Tokens, longest[0].Tokens, longest[0].Tokens), ((long?)tokens.Total, tokens.P50, tokens.P95, (long?)tokens.Most));
        Assert.Contains($"tokens     {tokens.Total}; ", created.Out, StringComparison.Ordinal);
        Assert.Contains("(counter@1)", created.Out, StringComparison.Ordinal);
        Assert.Contains($"longest    line 3 ({longest[0].Tokens} tokens), line 2 ({longest[1].Tokens} tokens), line 1", created.Out, StringComparison.Ordinal);
        Assert.Equal("counter@1", report.Options!.Tokenizer);

        var missing = await RunAsync("datasets", "create", "uncounted", file, "--tokenizer", "nobody");
        Assert.Equal(ExitCodes.Failed, missing.Code);
        Assert.Contains("no artifact nobody", missing.Error, StringComparison.Ordinal);
        var wrong = await RunAsync("datasets", "create", "uncounted", file, "--tokenizer", "counted");
        Assert.Contains("counted@1 is a dataset; needed is a model", wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_BadOptions_AreAllNamedAtOnce()
    {
        var file = await WriteAsync("rows.jsonl", ["""{"text":"t"}"""]);
        var options = new ModelOps.Client.IngestionOptions { Format = "xlsx", MaxBad = "many", Validation = 2 };
        var refused = await Assert.ThrowsAsync<ModelOpsException>(
            () => fixture.Server.Client.Datasets.CreateVersionAsync("bad", file, options, cancellationToken: Cancel));
        Assert.Equal((ProblemTypes.Invalid, 3), (refused.Problem.Type, refused.Problem.Errors.Count));
    }

    [Theory]
    [InlineData("--format", "xlsx")]
    [InlineData("--shape", "poem")]
    [InlineData("--map", "prompt")]
    [InlineData("--validation", "1.5")]
    [InlineData("--max-bad", "many")]
    [InlineData("--max-bad", "101%")]
    [InlineData("--pii", "hide")]
    [InlineData("--near-duplicates", "yes")]
    public async Task Create_BadFlag_IsAUsageError(string flag, string value)
    {
        var run = await CliRun.Of(["datasets", "create", "d", "f", flag, value], cancellationToken: Cancel);
        Assert.Equal(ExitCodes.Usage, run.Code);
        Assert.Contains(value, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Train_OnPreferencePairs_IsRefusedWithTheReason()
    {
        var client = fixture.Server.Client;
        var pairs = Enumerable.Range(0, 30).Select(i => $$"""{"prompt":"p{{i}}","chosen":"c","rejected":"r"}""");
        await RunAsync("datasets", "create", "pairs", await WriteAsync("pairs.jsonl", pairs));
        await RunAsync("models", "import", WordSmith, "--name", "base");
        var refused = await Assert.ThrowsAsync<ModelOpsException>(
            () => client.Jobs.StartTrainingAsync(new CreateTraining { Base = "base", Dataset = "pairs", Name = "tuned" }, Cancel));
        Assert.Equal(ProblemTypes.Invalid, refused.Problem.Type);
        Assert.Contains("the dataset pairs@1 has preference rows", refused.Problem.Detail, StringComparison.Ordinal);
    }

    private async Task<string> WriteAsync(string name, IEnumerable<string> lines)
    {
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(fixture.Server.Home, "files", Guid.NewGuid().ToString())).FullName, name);
        await File.WriteAllLinesAsync(path, lines, Cancel);
        return path;
    }

    private Task<CliRun> RunAsync(params string[] args) => CliRun.Of([.. args, "--home", fixture.Server.Home], cancellationToken: Cancel);

    /// <summary>Every property with its path; whether it may be null is each side's own.</summary>
    private static List<string> Properties(JsonTypeInfo type)
    {
        var paths = new List<string>();
        type.Options.GetJsonSchemaAsNode(type.Type, new()
        {
            TransformSchemaNode = (context, schema) =>
            {
                if (context.PropertyInfo is { } property) paths.Add($"{string.Join('/', context.Path.ToArray())} {property.Name}");
                return schema;
            },
        });
        return [.. paths.Order(StringComparer.Ordinal)];
    }
}
