using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Jobs;

/// <summary>The command line's jobs on a real server: lists and their filters, logs, priorities, quotas.</summary>
public sealed class JobCommandTests : IAsyncLifetime
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly string home = TestServer.NewHome();
    private TestServer server = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => server = await TestServer.StartAsync(
        home, Cancel, "jobs:quotas:unfinished=2", "jobs:quotas:unfinished_of_kind:quantization=1");

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        Directory.Delete(home, recursive: true);
    }

    [Fact]
    public async Task ListLogsPriorityAndQuota_OfRealJobs_AreAsAsked()
    {
        // 1. An ingestion of high priority: its log has what its worker said, and ends with it.
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        var made = await RunAsync("datasets", "create", "rows", rows, "--max-bad", "0", "--priority", "high", "--json");
        var ingestion = JsonSerializer.Deserialize(made.Out, WireJson.Default.Job)!;
        Assert.Equal((JobState.Succeeded, JobPriority.High), (ingestion.State, ingestion.Priority));
        var log = await RunAsync("jobs", "logs", ingestion.Id);
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info     the job is running\n.{24} info     IngestDataset#1 activity IngestDataset started, attempt 1\n", log.Out);
        var followed = await RunAsync("jobs", "logs", ingestion.Id, "--follow");
        Assert.Equal(log.Out, followed.Out);
        Assert.Equal(log.Out.TrimEnd('\n').Split('\n')[^1] + "\n", (await RunAsync("jobs", "logs", ingestion.Id, "--tail", "1")).Out);
        Assert.Empty((await RunAsync("jobs", "logs", ingestion.Id, "--level", "error")).Out);
        Assert.Empty(JsonSerializer.Deserialize((await RunAsync("jobs", "logs", ingestion.Id, "--level", "error", "--json")).Out, WireJson.Default.PageJobLogEntry)!.Items);

        // 2. A training that runs: followed, its lines come while it does; Ctrl-C ends the command and leaves it running.
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await server.Client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
        var started = await RunAsync("train", "sft", "--base", "base", "--dataset", "rows", "--name", "never", "--max-steps", "100000", "--priority", "low", "--json");
        var training = JsonSerializer.Deserialize(started.Out, WireJson.Default.Job)!;
        await foreach (var line in server.Client.Jobs.FollowLogAsync(training.Id, cancellationToken: Cancel))
            if (line.Text == "activity TrainAdapter started, attempt 1") break;
        using (var interrupt = CancellationTokenSource.CreateLinkedTokenSource(Cancel))
        {
            var following = CliRun.Of(["jobs", "logs", training.Id, "--follow", "--home", home], cancellationToken: interrupt.Token);
            Assert.False(following.IsCompleted);
            await interrupt.CancelAsync();
            var interrupted = await following.WaitAsync(patience, Cancel);
            Assert.Equal((ExitCodes.Canceled, ""), (interrupted.Code, interrupted.Error));
        }

        // 3. Lists: by state, by kind, by number; what is unknown is refused with what is known.
        var listed = await RunAsync("jobs", "list");
        Assert.Matches($@"{training.Id} +sft +(queued|running) +low .*\n.*{ingestion.Id} +ingestion +succeeded +high", listed.Out);
        Assert.Equal([ingestion.Id], await IdsAsync("--state", "succeeded", "--state", "failed"));
        Assert.Equal([training.Id], await IdsAsync("--kind", "sft"));
        Assert.Equal([training.Id], await IdsAsync("--limit", "1"));
        Assert.Equal([training.Id, ingestion.Id], await IdsAsync("--all"));
        var wrong = await CliRun.Of(["jobs", "list", "--kind", "stf", "--home", home], cancellationToken: Cancel);
        Assert.Equal((ExitCodes.Usage, "error: kind must be ingestion or sft or pretraining or training_plan or quantization or evaluation or fine_tuning, not 'stf'\n"), (wrong.Code, wrong.Error.Split("  - ")[0]));
        var both = await CliRun.Of(["jobs", "list", "--all", "--limit", "1", "--home", home], cancellationToken: Cancel);
        Assert.Equal(ExitCodes.Usage, both.Code);
        Assert.Contains("--limit and --all exclude each other.", both.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.NotFound, (await CliRun.Of(["jobs", "logs", "job-none", "--home", home], cancellationToken: Cancel)).Code);
        var noTrace = await CliRun.Of(["jobs", "logs", training.Id, "--trace", "x", "--home", home], cancellationToken: Cancel);
        Assert.Equal(ExitCodes.Usage, noTrace.Code);
        Assert.Contains("trace must be the id of a trace, 32 lower-case hex digits, not 'x'", noTrace.Error, StringComparison.Ordinal);

        // 4. A user who is no administrator has two places, of which one is for a quantization.
        await server.Client.Users.CreateAsync(new CreateUser { Name = "ada", Role = "engineer", Password = "correct horse battery" }, Cancel);
        var key = (await server.Client.Keys.CreateAsync(new CreateApiKey { Name = "test", User = "ada" }, Cancel)).Secret;
        string[] quantize = ["quantize", "base", "--name", "small", "--home", home, "--api-key", key];
        Assert.Equal(ExitCodes.Done, (await CliRun.Of(quantize, cancellationToken: Cancel)).Code);
        var refused = await CliRun.Of([.. quantize, "--json"], cancellationToken: Cancel);
        Assert.Equal(ExitCodes.NotAllowed, refused.Code);
        var problem = JsonSerializer.Deserialize(refused.Error, WireJson.Default.Problem)!;
        Assert.Equal((ProblemTypes.QuotaExceeded, 429), (problem.Type, problem.Status));
        Assert.StartsWith("ada has 1 unfinished job of the kind quantization, and jobs:quotas:unfinished_of_kind:quantization allows 1;", problem.Detail, StringComparison.Ordinal);
        await server.Client.Jobs.CancelAsync(training.Id, Cancel);
    }

    private async Task<string[]> IdsAsync(params string[] flags)
    {
        var run = await RunAsync(["jobs", "list", .. flags, "--json"]);
        return [.. JsonSerializer.Deserialize(run.Out, WireJson.Default.PageJob)!.Items.Select(job => job.Id)];
    }

    private async Task<CliRun> RunAsync(params string[] args)
    {
        var run = await CliRun.Of([.. args, "--home", home], cancellationToken: Cancel);
        Assert.True(run.Code == ExitCodes.Done, $"{string.Join(' ', args)} ended with {run.Code}:\n{run.Error}");
        return run;
    }
}
