using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Client;

namespace ModelOps.Tests.Cli;

public sealed class QuickstartTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-quickstart-").FullName;

    public QuickstartTests()
    {
        var model = Directory.CreateDirectory(Path.Combine(folder, "tiny")).FullName;
        foreach (var name in new[] { "config.json", "tokenizer.json", "model.safetensors" })
        {
            File.WriteAllText(Path.Combine(model, name), name);
        }
        File.WriteAllText(Path.Combine(folder, "rows.jsonl"), "{\"prompt\":\"First?\"}\n{\"prompt\":\"Second?\"}\n");
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_Piped_RunsAllStepsAndSaysHowToGoOn()
    {
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var run = await RunAsync(peer, TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Done, run.Code);
        Assert.All(Enumerable.Range(1, 7), step => Assert.Contains($"[{step}/7] ", run.Out, StringComparison.Ordinal));
        Assert.Contains("validation loss 2.500 -> 1.250  █▅▁", run.Out, StringComparison.Ordinal);
        Assert.Contains("> First?", run.Out, StringComparison.Ordinal);
        Assert.Contains("adapter: rows-lora@1 (adapter, DEV)", run.Out, StringComparison.Ordinal);
        Assert.Contains($"curl --cacert {peer.CaPath}", run.Out, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', run.Out + run.Error);
        Assert.DoesNotContain(HttpsPeer.ApiKey, run.Out + run.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_Json_IsOneDocumentWithEveryStep()
    {
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var run = await RunAsync(peer, TestContext.Current.CancellationToken, "--json");

        Assert.Equal(ExitCodes.Done, run.Code);
        Assert.Empty(run.Error);
        using var report = JsonDocument.Parse(run.Out);
        string[] steps = ["base", "dataset", "training", "quantization", "verification", "deployment", "chat"];
        Assert.All(steps, step =>
        {
            Assert.True(report.RootElement.GetProperty(step).GetProperty("seconds").GetDouble() >= 0);
            Assert.NotEqual(JsonValueKind.Null, report.RootElement.GetProperty(step).GetProperty("result").ValueKind);
        });
        Assert.Equal(1.25, report.RootElement.GetProperty("training").GetProperty("result").GetProperty("loss_after").GetDouble());
        Assert.Equal(2, report.RootElement.GetProperty("chat").GetProperty("result").GetArrayLength());
        Assert.Equal("gguf", report.RootElement.GetProperty("lineage").GetProperty("nodes")[0].GetProperty("kind").GetString());
    }

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_Again_ReusesWhatIsIdenticalAndMovesTheName()
    {
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);
        await RunAsync(peer, TestContext.Current.CancellationToken);
        var before = peer.Requests.Count;

        var run = await RunAsync(peer, TestContext.Current.CancellationToken, "--json");

        Assert.Equal(ExitCodes.Done, run.Code);
        using var report = JsonDocument.Parse(run.Out);
        Assert.True(report.RootElement.GetProperty("base").GetProperty("reused").GetBoolean());
        Assert.True(report.RootElement.GetProperty("dataset").GetProperty("reused").GetBoolean());
        Assert.DoesNotContain(peer.Requests.Skip(before), request => request.StartsWith("PUT", StringComparison.Ordinal));
    }

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_BrokenData_GivesTheJobsErrorAndCode1AndStopsThere()
    {
        var server = new QuickstartPeer { IngestionError = new JobError("invalid_rows", "rows.jsonl: 2 of 2 rows have no answer.") };
        await using var peer = await HttpsPeer.StartAsync(server.Map);

        var run = await RunAsync(peer, TestContext.Current.CancellationToken, "--json");

        Assert.Equal(ExitCodes.Failed, run.Code);
        Assert.Empty(run.Out);
        Assert.Contains("2 of 2 rows have no answer", JsonSerializer.Deserialize(run.Error, WireJson.Default.Problem)!.Detail, StringComparison.Ordinal);
        Assert.Single(server.Jobs);
    }

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_Interrupted_CancelsItsJob()
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var server = new QuickstartPeer { OnTraining = interrupt.CancelAsync };
        await using var peer = await HttpsPeer.StartAsync(server.Map);

        var run = await RunAsync(peer, interrupt.Token);

        Assert.Equal(ExitCodes.Canceled, run.Code);
        Assert.Equal(JobState.Canceled, server.Jobs.Single(job => job.Kind == "sft").State);
    }

    [Fact(Timeout = 30_000)]
    public async Task Quickstart_DataFileMissing_GivesCode3BeforeAnythingStarts()
    {
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var run = await CliRun.Of(
            ["quickstart", "--yes", "--data", Path.Combine(folder, "none.jsonl"), "--home", peer.Home],
            cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.NotFound, run.Code);
        Assert.Empty(peer.Requests);
    }

    private Task<CliRun> RunAsync(HttpsPeer peer, CancellationToken cancellationToken, params string[] more) => CliRun.Of(
        ["quickstart", "--yes", "--data", Path.Combine(folder, "rows.jsonl"), "--base", Path.Combine(folder, "tiny"), "--home", peer.Home, .. more],
        cancellationToken: cancellationToken);
}
