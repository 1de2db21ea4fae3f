using System.Text.Json;
using ModelOps.Tests.Repository;
using ModelOps.Workflows;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Worker;

namespace ModelOps.Tests.Workflows;

/// <summary>
/// The histories of every version of the workflows that was shipped: jobs that one version began must go on under the next. After a change that
/// they do not allow, guard it with <c>Workflow.Patched</c>; a new version's histories are added with MODELOPS_WRITE_HISTORIES=NAME.
/// </summary>
public sealed class ReplayTests(WorkflowFixture workflows) : IClassFixture<WorkflowFixture>
{
    private static readonly string folder = Path.Combine(RepositoryRoot.Path, "tests/ModelOps.Tests/Workflows/Histories");

    public static TheoryData<string> Histories => [.. Directory.EnumerateFiles(folder, "*.json").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Histories))]
    public async Task Replay_ShippedHistory_DoesTheSame(string file)
    {
        var history = WorkflowHistory.FromJson("job-0123456789abcdef", await File.ReadAllTextAsync(Path.Combine(folder, file), TestContext.Current.CancellationToken));
        await Replayer().ReplayWorkflowAsync(history, cancellationToken: TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Replay_HistoryOfAnotherWorkflow_IsRefused()
    {
        var json = await File.ReadAllTextAsync(Path.Combine(folder, "ingestion-1.json"), TestContext.Current.CancellationToken);
        var changed = json.Replace("IngestDataset", "DigestDataset", StringComparison.Ordinal);
        Assert.NotEqual(json, changed);
        await Assert.ThrowsAsync<Temporalio.Exceptions.WorkflowNondeterminismException>(
            () => Replayer().ReplayWorkflowAsync(WorkflowHistory.FromJson("job", changed), cancellationToken: TestContext.Current.CancellationToken));
    }

    // With MODELOPS_WRITE_HISTORIES=VERSION it keeps the histories of a version that is shipped.
    [Fact(Timeout = 120_000)]
    public async Task Replay_HistoryOfThisVersion_DoesTheSame()
    {
        var version = Environment.GetEnvironmentVariable("MODELOPS_WRITE_HISTORIES");
        var began = new TaskCompletionSource();
        workflows.Trainings["write-paused"] = async context =>
        {
            if (!began.TrySetResult()) return;
            while (true)
            {
                context.Heartbeat();
                await Task.Delay(50, context.CancellationToken);
            }
        };
        var sft = new SftTrainingInput("base", "rows", "tuned", JsonElement.Parse("""{"method":"lora","epochs":3}"""), "ada");
        var jobs = new Dictionary<string, WorkflowHandle>(StringComparer.Ordinal)
        {
            ["ingestion"] = await workflows.StartAsync("DatasetIngestion", "write-ingestion", new DatasetIngestionInput("rows", new("f", 1, "d"), JsonElement.Parse("{}"), "ada")),
            ["sft"] = await workflows.StartAsync("SftTraining", "write-sft", sft),
            ["training-plan"] = await workflows.StartAsync("TrainingPlan", "write-plan", sft),
            ["sft-paused"] = await workflows.StartAsync("SftTraining", "write-paused", sft),
            ["quantization"] = await workflows.StartAsync("Quantization", "write-quantization", new QuantizationInput("tuned", "small", "ada") { Types = ["Q8_0", "Q4_K_M"] }),
            ["fine-tuning"] = await workflows.StartAsync("FineTuning", "job-write-fine-tuning", FineTuningWorkflowTests.Input()),
            ["evaluation"] = await workflows.StartAsync(
                "Evaluation", "write-evaluation", new EvaluationInput("tuned-lora", null, "rows", "test", [], null, null, 0, "tuned-lora-eval", "ada")),
        };
        await began.Task.WaitAsync(TestContext.Current.CancellationToken);
        await jobs["sft-paused"].SignalAsync("pause", []);
        await EndToEnd.Eventually.HoldsAsync(
            () => workflows.Told.TryGetValue("write-paused", out var told) && told.Last().Phase == JobPhase.Paused, TestContext.Current.CancellationToken);
        await jobs["sft-paused"].SignalAsync("resume", []);
        foreach (var (name, job) in jobs)
        {
            await job.GetResultAsync();
            var history = await job.FetchHistoryAsync();
            await Replayer().ReplayWorkflowAsync(history, cancellationToken: TestContext.Current.CancellationToken);
            if (version is not null) await File.WriteAllTextAsync(Path.Combine(folder, $"{name}-{version}.json"), history.ToJson(), TestContext.Current.CancellationToken);
        }
    }

    private static WorkflowReplayer Replayer()
    {
        var options = new WorkflowReplayerOptions { DataConverter = HistoryData.Converter };
        foreach (var definition in WorkflowFixture.Definitions) options.AddWorkflow(definition);
        return new WorkflowReplayer(options);
    }
}
