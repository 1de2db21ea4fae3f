using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A quickstart on a real server: interrupted while it trains, gone on with, asked again, and called as it says.</summary>
[EmbeddedOnly("of the command line; what the server keeps its data in is the main job's test")]
public sealed class QuickstartJobTests : IDisposable
{
    private const int Rows = 60;
    private readonly string home = TestServer.NewHome();
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-quickstart-").FullName;

    public void Dispose()
    {
        Directory.Delete(home, recursive: true);
        Directory.Delete(folder, recursive: true);
    }

    [Fact(Timeout = 180_000)]
    public async Task Quickstart_Interrupted_GoesOnThenReusesAllAndAnswersAsItSays()
    {
        var cancel = TestContext.Current.CancellationToken;
        var data = Path.Combine(folder, "my rows.csv");
        await File.WriteAllLinesAsync(data, Enumerable.Range(1, Rows).Select(i => $"What is {i} and {i}?,It is {2 * i}.").Prepend("question,answer"), cancel);
        await using var server = await TestServer.StartAsync(home, cancel);
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var first = RunAsync(data, interrupt.Token);
        var training = await FirstAsync(server.Client, "sft", cancel);
        await foreach (var next in server.Client.Jobs.WatchAsync(training.Id, cancellationToken: cancel))
            if (next.Progress is { Stage: "train" }) break;
        await interrupt.CancelAsync();
        var canceled = await first;
        Assert.Equal(ExitCodes.Canceled, canceled.Code);
        Assert.Contains($": modelops quickstart --data '{data}'", canceled.Error, StringComparison.Ordinal);
        Assert.Equal(JobState.Canceled, (await server.Client.Jobs.GetAsync(training.Id, cancel)).State);

        var second = await RunAsync(data, cancel, "--json");
        Assert.Equal((ExitCodes.Done, ""), (second.Code, second.Error));
        using var report = JsonDocument.Parse(second.Out);
        Assert.Equal(["base", "dataset", "plan"], Steps(report, "reused"));
        Assert.Equal(["training"], Steps(report, "resumed"));
        Assert.Equal(training.Id, report.RootElement.GetProperty("training").GetProperty("job").GetString());
        Assert.Equal(["loss", "exact_match", "rouge_l"], report.RootElement.GetProperty("evaluation").GetProperty("result").GetProperty("metrics").EnumerateArray().Select(metric => metric.GetProperty("name").GetString()));
        Assert.NotEqual(0, report.RootElement.GetProperty("chat").GetProperty("result").GetArrayLength());

        var third = await RunAsync(data, cancel);
        Assert.Equal(ExitCodes.Done, third.Code);
        foreach (var step in new[] { "Import the base", "Ingest the data", "Plan the training", "Fine-tune with LoRA", "Evaluate", "Quantize to Q8_0", "Deploy" })
            Assert.Matches($@"\] {step} .*\(already there\)", third.Out);
        await CallAsync(third.Out, cancel);
    }

    private Task<CliRun> RunAsync(string data, CancellationToken cancellationToken, params string[] more) => CliRun.Of(
        ["quickstart", "--yes", "--data", data, "--base", Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), "--max-steps", "60", "--home", home, .. more],
        cancellationToken: cancellationToken);

    private static IEnumerable<string> Steps(JsonDocument report, string how) => report.RootElement.EnumerateObject()
        .Where(step => step.Value.ValueKind == JsonValueKind.Object && step.Value.TryGetProperty(how, out var did) && did.GetBoolean()).Select(step => step.Name);

    /// <summary>Runs the lines with curl as they are printed.</summary>
    private async Task CallAsync(string output, CancellationToken cancellationToken)
    {
        var lines = output.Split('\n').SkipWhile(line => line != "Call it, in a shell:").Skip(1).TakeWhile(line => line.StartsWith(' ')).ToList();
        Assert.Contains(lines, line => line.Contains("curl --cacert", StringComparison.Ordinal));
        var answer = await ProcessRun.ExpectSuccessAsync("bash", ["-ec", string.Join('\n', lines)], folder, [], cancellationToken);
        using var completion = JsonDocument.Parse(answer);
        Assert.NotEqual("", completion.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    private static async Task<Job> FirstAsync(ModelOpsClient client, string kind, CancellationToken cancellationToken)
    {
        Job? found = null;
        await Eventually.HoldsAsync(
            async () => (found = await client.Jobs.ListAsync(new JobFilter { Kind = kind }, cancellationToken).FirstOrDefaultAsync(cancellationToken)) is not null, cancellationToken);
        return found!;
    }
}
