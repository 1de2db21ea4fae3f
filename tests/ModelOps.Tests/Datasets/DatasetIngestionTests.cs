using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tables.Datasets;
using ModelOps.Tests.Cli;
using ModelOps.Tests.Gateway;

namespace ModelOps.Tests.Datasets;

/// <summary>From the flags of the command line to the tables and back: the server, its worker and the command are the real ones.</summary>
public sealed class DatasetIngestionTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Options and report cross the workflow as documents: what one side writes, the other must know.</summary>
    [Fact]
    public void Documents_OfTheWireAndOfTheIngestion_HaveTheSameSchema()
    {
        Assert.Equal(Properties(IngestionJson.Default.IngestionReport), Properties(WireJson.Default.IngestionReport));
        Assert.Equal(Properties(IngestionJson.Default.IngestionOptions), Properties(WireJson.Default.IngestionOptions));
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
        await RunAsync("models", "import", Path.Combine(Repository.RepositoryRoot.Path, "samples/models/wordsmith"), "--name", "base");
        var job = await client.Jobs.StartTrainingAsync(new CreateTraining { Base = "base", Dataset = "pairs", Name = "tuned" }, Cancel);
        await foreach (var _ in client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel))
        {
        }
        var ended = await client.Jobs.GetAsync(job.Id, Cancel);
        Assert.Equal((JobState.Failed, "invalid_input"), (ended.State, ended.Error!.Type));
        Assert.Contains("the dataset pairs@1 has preference rows", ended.Error.Message, StringComparison.Ordinal);
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
