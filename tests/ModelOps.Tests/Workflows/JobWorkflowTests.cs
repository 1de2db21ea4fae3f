using System.Text.Json;
using ModelOps.Tests.EndToEnd;
using ModelOps.Workflows;
using Temporalio.Activities;
using Temporalio.Exceptions;

namespace ModelOps.Tests.Workflows;

/// <summary>What a job's workflow tells its record, paused, canceled, failed, and after its worker died.</summary>
public sealed class JobWorkflowTests(WorkflowFixture workflows) : IClassFixture<WorkflowFixture>
{
    private static readonly SftTrainingInput training = new(
        "base", "rows", "tuned", JsonElement.Parse("""{"method":"lora","epochs":3}"""), "ada");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact(Timeout = 60_000)]
    public async Task Run_EveryKind_TellsThatItStartedAndSucceeded()
    {
        var ingestion = await workflows.StartAsync("DatasetIngestion", "ingest-1", new DatasetIngestionInput("rows", new("f", 1, "d"), JsonElement.Parse("{}"), "ada"));
        var sft = await workflows.StartAsync("SftTraining", "sft-1", training);
        var plan = await workflows.StartAsync("TrainingPlan", "plan-1", training);
        var quantization = await workflows.StartAsync("Quantization", "quantize-1", new QuantizationInput("tuned", "small", "ada") { Types = ["Q8_0"] });
        var evaluation = await workflows.StartAsync("Evaluation", "evaluate-1", Evaluation("tuned", against: null));
        Assert.Equal("tuned-eval", (await evaluation.GetResultAsync<EvaluationOutput>()).Artifact.Name);
        Assert.Equal("rows", (await ingestion.GetResultAsync<DatasetIngestionOutput>()).Dataset.Name);
        Assert.Equal("tuned", (await sft.GetResultAsync<SftTrainingOutput>()).Artifact.Name);
        Assert.Equal("small", (await quantization.GetResultAsync<QuantizationOutput>()).Quantized[0].Artifact.Name);
        Assert.Equal(7, (await plan.GetResultAsync<PlannedTraining>()).Plan.GetProperty("tokens").GetInt32());
        foreach (var job in (string[])["ingest-1", "sft-1", "plan-1", "quantize-1", "evaluate-1"]) Assert.Equal([JobPhase.Started, JobPhase.Succeeded], Phases(job));
        Assert.Equal("tuned", workflows.Told["sft-1"].Last().Output!.Value.GetProperty("artifact").GetProperty("name").GetString());
    }

    [Theory(Timeout = 60_000)]
    [InlineData("model", null, "model", null)]
    [InlineData("some-lora", null, "base+some-lora", "base")]
    [InlineData("some-lora", "other-lora", "base+some-lora", "base+other-lora")]
    [InlineData("model", "other", "model", "other")]
    public async Task Evaluation_OfWhatever_IsMeasuredBesideItsBaseOrWhatIsNamed(string artifact, string? against, string candidate, string? compared)
    {
        var id = $"evaluate-{artifact}-{against}";
        var job = await workflows.StartAsync("Evaluation", id, Evaluation(artifact, against));
        var output = await job.GetResultAsync<EvaluationOutput>();
        var asked = Assert.Single(workflows.Evaluated, input => input.Job == id);
        Assert.Equal(candidate, Text(asked.Candidate));
        Assert.Equal(compared, asked.Against is null ? null : Text(asked.Against));
        var registered = Assert.Single(workflows.Registered, input => input.Name == $"{artifact}-eval" && input.Parents.GetValueOrDefault("base") == output.Base);
        Assert.Equal("evaluation", registered.Kind);
        Assert.Equal(output.Candidate, registered.Parents["candidate"]);
        Assert.Equal(WorkflowFixture.Rows.Artifact, registered.Parents["dataset"]);

        static string Text(EvaluatedSubject subject) => subject.Adapter is null ? subject.Base.Name : $"{subject.Base.Name}+{subject.Adapter.Name}";
    }

    [Fact(Timeout = 60_000)]
    public async Task Quantization_ToSeveralTypes_KeepsWhatOneThatFailsCannotMake()
    {
        workflows.QuantizationFaults["IQ1_M"] = ActivityFailures.QuantizationFailed;
        var job = await workflows.StartAsync("Quantization", "quantize-several", Quantization("several", "Q8_0", "IQ1_M", "Q4_K_M"));
        var output = await job.GetResultAsync<QuantizationOutput>();
        Assert.Equal(["several-q8-0", "several-q4-k-m"], output.Quantized.Select(made => made.Artifact.Name));
        Assert.Equal([new FailedType("IQ1_M", ActivityFailures.QuantizationFailed, "IQ1_M cannot be")], output.Failed);
        Assert.Equal(
            [("IQ1_M", true), ("Q4_K_M", false), ("Q8_0", true)],
            workflows.Quantized.Where(asked => asked.Name == "several").Select(asked => (asked.Type, asked.More)).Order());
        var registered = workflows.Registered.Where(made => made.Name.StartsWith("several-", StringComparison.Ordinal)).ToList();
        Assert.Equal(2, registered.Count);
        Assert.All(registered, made =>
        {
            Assert.Equal("gguf", made.Kind);
            Assert.Equal("tuned", made.Parents["source"].Name);
            Assert.Equal(WorkflowFixture.Rows.Artifact, made.Parents["importance"]);
            Assert.Equal(4.5, made.Metrics["bits_per_weight"]);
        });
    }

    [Fact(Timeout = 60_000)]
    public async Task Quantization_NoTypeCanBeMade_FailsWithTheFirstOnesReason()
    {
        workflows.QuantizationFaults["IQ2_S"] = workflows.QuantizationFaults["IQ2_M"] = ActivityFailures.QuantizationFailed;
        var job = await workflows.StartAsync("Quantization", "quantize-none", Quantization("none", "IQ2_S", "IQ2_M"));
        await Assert.ThrowsAsync<WorkflowFailedException>(() => job.GetResultAsync());
        Assert.Equal(new JobFailure(ActivityFailures.QuantizationFailed, "IQ2_S cannot be"), workflows.Told["quantize-none"].Last().Error);
    }

    [Fact(Timeout = 60_000)]
    public async Task Quantization_OfAModelThatIsAtFault_TriesNoOtherType()
    {
        workflows.QuantizationFaults["F32"] = ActivityFailures.ParityFailed;
        var job = await workflows.StartAsync("Quantization", "quantize-parity", Quantization("parity", "F32", "Q8_0"));
        await Assert.ThrowsAsync<WorkflowFailedException>(() => job.GetResultAsync());
        Assert.Equal(ActivityFailures.ParityFailed, workflows.Told["quantize-parity"].Last().Error!.Type);
        Assert.Equal("F32", Assert.Single(workflows.Quantized, asked => asked.Name == "parity").Type);
    }

    [Fact(Timeout = 60_000)]
    public async Task Pause_WhileTraining_StopsTheWorkerAndResumeRunsTheStepAgain()
    {
        var runs = 0;
        workflows.Trainings["paused"] = async context =>
        {
            if (Interlocked.Increment(ref runs) == 1) await UntilCanceledAsync(context);
        };
        var job = await workflows.StartAsync("SftTraining", "paused", training);
        await Eventually.HoldsAsync(() => Volatile.Read(ref runs) == 1, Cancel);
        await job.SignalAsync("pause", []);
        await Eventually.HoldsAsync(() => Phases("paused").LastOrDefault() == JobPhase.Paused, Cancel);
        Assert.Equal(new JobPosition(Step: null, StepsDone: 2, Paused: true), await job.QueryAsync<JobPosition>("progress", []));
        await job.SignalAsync("resume", []);
        await job.GetResultAsync<SftTrainingOutput>();
        Assert.Equal([JobPhase.Started, JobPhase.Paused, JobPhase.Resumed, JobPhase.Succeeded], Phases("paused"));
        Assert.Equal(2, runs);
    }

    [Theory(Timeout = 60_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Cancel_WhileTrainingOrPaused_EndsCanceled(bool paused)
    {
        var id = $"canceled-{paused}";
        var began = new TaskCompletionSource();
        workflows.Trainings[id] = context =>
        {
            began.TrySetResult();
            return UntilCanceledAsync(context);
        };
        var job = await workflows.StartAsync("SftTraining", id, training);
        await began.Task.WaitAsync(Cancel);
        if (paused)
        {
            await job.SignalAsync("pause", []);
            await Eventually.HoldsAsync(() => Phases(id).LastOrDefault() == JobPhase.Paused, Cancel);
        }
        await job.CancelAsync();
        var ended = await Assert.ThrowsAsync<WorkflowFailedException>(() => job.GetResultAsync<SftTrainingOutput>());
        Assert.IsType<CanceledFailureException>(ended.InnerException);
        Assert.Equal(JobPhase.Canceled, Phases(id).Last());
    }

    [Fact(Timeout = 60_000)]
    public async Task Run_WorkerDied_CostsOneAttempt()
    {
        var attempts = 0;
        workflows.Trainings["died"] = context =>
        {
            attempts = context.Info.Attempt;
            return context.Info.Attempt == 1
                ? throw new ApplicationFailureException("the training worker was ended by SIGABRT", ActivityFailures.WorkerDied)
                : Task.CompletedTask;
        };
        var job = await workflows.StartAsync("SftTraining", "died", training);
        await job.GetResultAsync<SftTrainingOutput>();
        Assert.Equal(2, attempts);
        Assert.Equal([JobPhase.Started, JobPhase.Succeeded], Phases("died"));
    }

    [Fact(Timeout = 60_000)]
    public async Task Run_InputAtFault_IsNotTriedAgainAndSaysWhy()
    {
        var attempts = 0;
        workflows.Trainings["diverged"] = _ =>
        {
            attempts++;
            throw new ApplicationFailureException("the loss is NaN at step 7", ActivityFailures.Diverged);
        };
        var job = await workflows.StartAsync("SftTraining", "diverged", training);
        await Assert.ThrowsAsync<WorkflowFailedException>(() => job.GetResultAsync<SftTrainingOutput>());
        Assert.Equal(1, attempts);
        Assert.Equal(new JobFailure(ActivityFailures.Diverged, "the loss is NaN at step 7"), workflows.Told["diverged"].Last().Error);
    }

    private static QuantizationInput Quantization(string name, params string[] types) => new("tuned", name, "ada") { Types = types, Importance = "rows" };

    private static EvaluationInput Evaluation(string artifact, string? against) =>
        new(artifact, against, "rows", "test", [], Rows: null, MaxTokens: null, Seed: 0, $"{artifact}-eval", "ada");

    private static async Task UntilCanceledAsync(ActivityExecutionContext context)
    {
        while (true)
        {
            context.Heartbeat();
            await Task.Delay(50, context.CancellationToken);
        }
    }

    private List<JobPhase> Phases(string job) => workflows.Told.TryGetValue(job, out var told) ? [.. told.Select(change => change.Phase)] : [];
}
