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
        Assert.All(Enumerable.Range(1, 9), step => Assert.Contains($"[{step}/9] ", run.Out, StringComparison.Ordinal));
        Assert.Contains("validation loss 2.500 -> 1.250  █▅▁", run.Out, StringComparison.Ordinal);
        Assert.Contains("> First?", run.Out, StringComparison.Ordinal);
        Assert.Contains("adapter: rows-lora@1 (adapter, DEV)", run.Out, StringComparison.Ordinal);
        Assert.Contains("exact_match    0.250 ->   0.750  [+0.250, +0.750]", run.Out, StringComparison.Ordinal);
        Assert.Contains($"CA={peer.CaPath}", run.Out, StringComparison.Ordinal);
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
        string[] steps = ["base", "dataset", "plan", "training", "evaluation", "quantization", "verification", "deployment", "chat"];
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
    public async Task Quickstart_Again_ReusesWhatTheSameInputsMade()
    {
        var server = new QuickstartPeer();
        await using var peer = await HttpsPeer.StartAsync(server.Map);
        await RunAsync(peer, TestContext.Current.CancellationToken);
        var before = peer.Requests.Count;

        var run = await RunAsync(peer, TestContext.Current.CancellationToken, "--json");

        Assert.Equal(ExitCodes.Done, run.Code);
        using var report = JsonDocument.Parse(run.Out);
        string[] made = ["base", "dataset", "plan", "training", "evaluation", "quantization", "deployment"];
        Assert.All(made, step => Assert.True(report.RootElement.GetProperty(step).GetProperty("reused").GetBoolean(), step));
        Assert.Equal(5, server.Jobs.Count());
        Assert.DoesNotContain(peer.Requests.Skip(before), request => request.StartsWith("PUT", StringComparison.Ordinal));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(JobState.Running)]
    [InlineData(JobState.Paused)]
    [InlineData(JobState.Canceled)]
    public async Task Quickstart_TrainingOfAStoppedRun_IsGoneOnWithNotBegunTwice(JobState state)
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var server = new QuickstartPeer { OnTraining = interrupt.CancelAsync };
        await using var peer = await HttpsPeer.StartAsync(server.Map);
        await RunAsync(peer, interrupt.Token);
        server.Set("sft", state);
        server.OnTraining = () =>
        {
            server.Set("sft", JobState.Succeeded);
            return Task.CompletedTask;
        };

        var run = await RunAsync(peer, TestContext.Current.CancellationToken, "--json");

        Assert.Equal((ExitCodes.Done, ""), (run.Code, run.Error));
        using var report = JsonDocument.Parse(run.Out);
        Assert.True(report.RootElement.GetProperty("training").GetProperty("resumed").GetBoolean());
        Assert.Single(server.Jobs, job => job.Kind == "sft");
    }

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_LongTraining_IsBoundedUnlessItShallNotBe()
    {
        var server = new QuickstartPeer { PlannedRows = 10_000_000 };
        await using var peer = await HttpsPeer.StartAsync(server.Map);

        var bounded = await RunAsync(peer, TestContext.Current.CancellationToken);
        var whole = await RunAsync(peer, TestContext.Current.CancellationToken, "--unbounded");

        Assert.Matches(@"\[3/9\] Plan .* \d+ of 15000000 steps, about 3 min; all would take about [\d,]+ h: --unbounded", bounded.Out);
        Assert.Matches(@"modelops quickstart .*--unbounded --home \S+    # all 15000000 steps", bounded.Out);
        Assert.Matches(@"\[3/9\] Plan .* 15000000 steps, about [\d,]+ h", whole.Out);
        Assert.Equal(2, server.Jobs.Count(job => job.Kind == "sft")); // another recipe is another training
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
        Assert.Contains("Canceled in step 4 of 9, Fine-tune with LoRA. What was done is kept; this goes on from there: modelops quickstart --data", run.Error, StringComparison.Ordinal);
        Assert.Equal(JobState.Canceled, server.Jobs.Single(job => job.Kind == "sft").State);
    }

    [Fact(Timeout = 60_000)]
    public async Task Quickstart_BaseOfTheHub_IsPulledOnce()
    {
        await using var hub = await HubPeer.StartAsync();
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);
        string[] arguments = ["quickstart", "--json", "--data", Path.Combine(folder, "rows.jsonl"), "--base", $"hf:{HubPeer.Repository}", "--home", peer.Home];
        var variables = new Dictionary<string, string>(StringComparer.Ordinal) { [HubOptions.EndpointVariable] = hub.Address.ToString() };

        var first = await CliRun.Of(arguments, variables: variables, cancellationToken: TestContext.Current.CancellationToken);
        var second = await CliRun.Of(arguments, variables: variables, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal((ExitCodes.Done, ""), (first.Code, first.Error));
        using var report = JsonDocument.Parse(first.Out);
        var pulled = report.RootElement.GetProperty("base");
        Assert.False(pulled.GetProperty("reused").GetBoolean());
        Assert.Equal($"hf:{HubPeer.Repository}@{HubPeer.Commit}", pulled.GetProperty("result").GetProperty("source").GetString());
        using var again = JsonDocument.Parse(second.Out);
        Assert.True(again.RootElement.GetProperty("base").GetProperty("reused").GetBoolean());
    }

    [Theory(Timeout = 30_000)]
    [InlineData("hf:nothing", ExitCodes.Usage, "is not of the form hf:org/name")]
    [InlineData("./no-such-model", ExitCodes.NotFound, "no-such-model does not exist")]
    public async Task Quickstart_BaseThatIsNone_IsRefusedBeforeAnythingStarts(string model, int code, string part)
    {
        await using var peer = await HttpsPeer.StartAsync(new QuickstartPeer().Map);

        var run = await CliRun.Of(
            ["quickstart", "--data", Path.Combine(folder, "rows.jsonl"), "--base", model, "--home", peer.Home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(code, run.Code);
        Assert.Contains(part, run.Error, StringComparison.Ordinal);
        Assert.Empty(peer.Requests);
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
