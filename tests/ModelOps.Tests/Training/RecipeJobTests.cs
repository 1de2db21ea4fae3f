using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;

namespace ModelOps.Tests.Training;

/// <summary>A recipe on its way from a file through the command line and the gateway to the worker, and what each method leaves.</summary>
public sealed class RecipeJobTests(TrainingServer server) : IClassFixture<TrainingServer>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Train_RecipeFileAndFlags_TheFlagsWinAndTheInputShowsWhatIsSaid()
    {
        var run = await TrainAsync("tuned", "method: qlora\nrank: 4\nmax_steps: 50\nbatch_size: 1\n# a comment\n", "--max-steps", "2");

        Assert.True(run.Code == ExitCodes.Done, run.Error);
        var job = JsonSerializer.Deserialize(run.Out, WireJson.Default.Job)!;
        Assert.Equal("""{"method":"qlora","max_steps":2,"batch_size":1,"rank":4}""", JsonSerializer.Serialize(job.Input.GetProperty("recipe")));
        Assert.Equal(2, job.Result!.Value.Deserialize(WireJson.Default.TrainingResult)!.Steps);
        var adapter = await server.Client.Artifacts.GetAsync("tuned", Cancel);
        Assert.Equal("adapter", adapter.Kind);
        Assert.Contains(adapter.Files, file => file.Path == "adapter_model.safetensors");
    }

    [Fact]
    public async Task Train_Full_LeavesAModelThatQuantizesLikeABase()
    {
        await server.SucceedAsync(await server.Client.Jobs.StartTrainingAsync(
            new CreateTraining
            {
                Base = "base",
                Dataset = "rows",
                Name = "whole",
                Recipe = JsonElement.Parse("""{"method": "full", "batch_size": 1}"""),
                MaxSteps = 2,
            },
            Cancel));

        var model = await server.Client.Artifacts.GetAsync("whole", Cancel);
        Assert.Equal("model", model.Kind);
        Assert.Equal(["base base@1", "dataset rows@1"], model.Parents.Select(parent => $"{parent.Role} {parent.Artifact}").Order(StringComparer.Ordinal));
        var source = await server.Client.Artifacts.GetAsync("base", Cancel);
        Assert.Equal(source.Files.Select(file => file.Path), model.Files.Select(file => file.Path));
        Assert.NotEqual(Weights(source), Weights(model));
        var gguf = await server.SucceedAsync(await server.Client.Jobs.StartQuantizationAsync(
            new CreateQuantization { Artifact = "whole", Name = "whole-q8" }, Cancel));
        Assert.Equal(["whole-q8@1"], gguf.Artifacts);
        Assert.True((await server.Client.Artifacts.VerifyAsync("whole-q8", Cancel)).Verified);
    }

    [Fact]
    public async Task Pretrain_RandomWeights_LeavesASignedModelThatDescendsFromDatasetAndShape()
    {
        var run = await CliRun.Of(
            ["train", "pretrain", "--base", "base", "--dataset", "texts", "--name", "fresh", "--initialization", "random", "--max-steps", "4", "--watch", "--json", "--home", server.Home],
            cancellationToken: Cancel);

        Assert.True(run.Code == ExitCodes.Done, run.Error);
        var job = JsonSerializer.Deserialize(run.Out, WireJson.Default.Job)!;
        Assert.Equal("pretraining", job.Kind);
        var result = job.Result!.Value.Deserialize(WireJson.Default.TrainingResult)!;
        Assert.Equal((4, 0, 0), (result.Steps, result.TruncatedRows, result.SkippedRows));
        Assert.Equal(Math.Log(4096), result.LossBefore, tolerance: 0.3);
        Assert.True(result.LossAfter < result.LossBefore);
        var model = await server.Client.Artifacts.GetAsync("fresh", Cancel);
        Assert.Equal("model", model.Kind);
        Assert.Equal(["base base@1", "dataset texts@1"], model.Parents.Select(parent => $"{parent.Role} {parent.Artifact}").Order(StringComparer.Ordinal));
        Assert.Equal("""{"method":"pretrain","initialization":"random","max_steps":4}""", JsonSerializer.Serialize(job.Input.GetProperty("recipe")));
        Assert.True((await server.Client.Artifacts.VerifyAsync("fresh", Cancel)).Verified);
    }

    [Fact]
    public async Task Plan_OfATraining_SaysWhatThatThenDoesAndTrainsNothing()
    {
        string[] asked = ["train", "sft", "--base", "base", "--dataset", "rows", "--name", "planned", "--max-steps", "2", "--batch-size", "1", "--home", server.Home];

        var run = await CliRun.Of([.. asked, "--plan", "--json"], cancellationToken: Cancel);
        var shown = await CliRun.Of([.. asked, "--plan"], cancellationToken: Cancel);

        Assert.True(run.Code == ExitCodes.Done, run.Error);
        var job = JsonSerializer.Deserialize(run.Out, WireJson.Default.Job)!;
        var plan = job.Result!.Value.Deserialize(WireJson.Default.TrainingPlan)!;
        Assert.Equal(("training_plan", 2, "lora"), (job.Kind, plan.Recipe.GetProperty("steps").GetInt32(), plan.Recipe.GetProperty("method").GetString()));
        Assert.Equal(16, plan.Recipe.GetProperty("rank").GetInt32());
        Assert.EndsWith($"@{Environment.MachineName}", plan.Worker, StringComparison.Ordinal);
        Assert.InRange(plan.MemoryNeeded, plan.Memory.Sum(part => part.Bytes), plan.MemoryAvailable);
        var (work, time) = (plan.Work!, plan.Time!);
        Assert.InRange(work.Tokens, plan.Tokens * 2 / plan.PackedRows / 2, plan.Tokens * 2 / plan.PackedRows * 2);
        Assert.InRange(time.Seconds, time.Low, time.High);
        Assert.Equal((work.Tokens, work.MeasuredTokens), (time.Tokens, time.MeasuredTokens));
        Assert.Contains("Time: about ", shown.Out, StringComparison.Ordinal);
        Assert.Contains("free on training ", shown.Out, StringComparison.Ordinal);
        Assert.Contains("  learning_rate: ", shown.Out, StringComparison.Ordinal);
        Assert.Empty(job.Artifacts);
        Assert.Empty(await server.Client.Jobs.GetMetricsAsync(job.Id, [], cancellationToken: Cancel));
        Assert.DoesNotContain(await server.Client.Artifacts.ListAsync(kind: null, Cancel), artifact => artifact.Name == "planned");
    }

    [Fact]
    public async Task Plan_ThatDoesNotFit_SaysWhatWould()
    {
        var job = await server.SucceedAsync(await server.Client.Jobs.PlanTrainingAsync(
            new CreateTraining { Base = "base", Dataset = "texts", Name = "planned", Method = "pretrain", BatchSize = 65_536, SequenceLength = 256 }, Cancel));

        var plan = job.Result!.Value.Deserialize(WireJson.Default.TrainingPlan)!;
        Assert.True(plan.MemoryNeeded > plan.MemoryAvailable);
        Assert.Contains(plan.WouldFit, change => change.Change == "batch_size: 1 with accumulation: 65536" && change.Bytes <= plan.MemoryAvailable);
        Assert.Equal((0, 0), (plan.TrainRows.Truncated, plan.TrainRows.Skipped));
        Assert.InRange(plan.TrainRows.Used, 1, 60);
    }

    [Theory]
    [InlineData("rows", "pretrain", "the dataset rows@1 has sft rows; the method pretrain learns from texts (text)")]
    [InlineData("texts", "lora", "the dataset texts@1 has text rows; the method lora learns from conversations (sft)")]
    public async Task Train_DatasetOfAnotherTask_IsRefusedBeforeAJobExists(string dataset, string method, string reason)
    {
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => server.Client.Jobs.StartTrainingAsync(
            new CreateTraining { Base = "base", Dataset = dataset, Name = "never", Method = method }, Cancel));

        Assert.Equal(ProblemTypes.Invalid, refused.Problem.Type);
        Assert.Contains(reason, refused.Problem.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Train_ManyFaults_SaysThemAllAndGivesTheCodeOfUsage()
    {
        var run = await TrainAsync("Not A Name", "rank: 8\npacking: maybe\nlerning_rate: 1\n", "--method", "full", "--sequence-length", "3");

        Assert.Equal(ExitCodes.Usage, run.Code);
        foreach (var fault in (string[])[
            "Not A Name", "line 2: packing must be true or false, not 'maybe'", "did you mean learning_rate?",
            "sequence_length must be a whole number from 8", "rank is for lora and qlora; method is full"])
            Assert.Contains(fault, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[1]", "recipe must be an object of a recipe's keys")]
    [InlineData("7", "recipe must be an object of a recipe's keys")]
    [InlineData("\"- a\\n- b\\n\"", "a recipe is one map of keys and values")]
    [InlineData("""{"rank": {"of": 1}}""", "rank must be a whole number")]
    public async Task Train_RecipeOfAnotherShape_IsRefused(string recipe, string reason)
    {
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => server.Client.Jobs.StartTrainingAsync(
            new CreateTraining { Base = "base", Dataset = "rows", Name = "never", Recipe = JsonElement.Parse(recipe) }, Cancel));

        Assert.Equal(ProblemTypes.Invalid, refused.Problem.Type);
        Assert.Contains(reason, refused.Problem.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Train_HugeLearningRate_FailsAtOnceWithAdvice()
    {
        var failed = await FailAsync("""{"method": "full", "learning_rate": 1, "schedule": "constant", "warmup_ratio": 0, "clip_norm": 1000000, "batch_size": 1, "max_steps": 300}""");

        Assert.Equal("diverged", failed.Error!.Type);
        Assert.Matches("training (diverged|left its course) at step [0-9]+ of 300", failed.Error.Message);
        Assert.Contains("Try a learning rate of 0.25 or less, or a longer warm-up", failed.Error.Message, StringComparison.Ordinal);
        Assert.Equal(1, failed.Attempts);
    }

    [Fact]
    public async Task Train_MoreMemoryThanThereIs_FailsBeforeItBeginsAndSaysWhatWouldFit()
    {
        var failed = await FailAsync("""{"batch_size": 65536, "sequence_length": 256}""");

        Assert.Equal("invalid_input", failed.Error!.Type);
        foreach (var part in (string[])["training needs about", "activations", "are free", "what would fit: ", "batch_size: 1 with accumulation: 65536"])
            Assert.Contains(part, failed.Error.Message, StringComparison.Ordinal);
        Assert.Empty(await server.Client.Jobs.ListCheckpointsAsync(failed.Id, Cancel));
    }

    [Fact]
    public async Task Train_RowsThatAreCut_SaysSoAndWhatToDoBeforeItTrains()
    {
        var job = await server.SucceedAsync(await server.Client.Jobs.StartTrainingAsync(
            new CreateTraining { Base = "base", Dataset = "rows", Name = "cut", SequenceLength = 24, BatchSize = 1, MaxSteps = 5, Recipe = JsonElement.Parse("""{"samples": 2, "validate_every": 5}""") }, Cancel));

        var events = await server.Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).ToListAsync(Cancel);
        Assert.Contains(events, next => next.Message?.Contains("longer than 24 tokens and lose their end; a larger sequence_length", StringComparison.Ordinal) == true);
        Assert.True(job.Result!.Value.Deserialize(WireJson.Default.TrainingResult)!.TruncatedRows > 0);
        await AssertMetricsAsync(job);
        await AssertSamplesAsync(job);
    }

    private async Task AssertSamplesAsync(Job job)
    {
        var samples = await server.Client.Jobs.GetSamplesAsync(job.Id, cancellationToken: Cancel);
        Assert.Equal([(5, 1), (5, 2), (0, 1), (0, 2)], samples.Select(sample => (sample.Step, sample.Number)));
        Assert.Equal(samples[0].Prompt, samples[2].Prompt);
        Assert.All(samples, sample => Assert.NotEmpty(sample.Text));
        var run = await CliRun.Of(["jobs", "samples", job.Id, "--steps", "1", "--home", server.Home], cancellationToken: Cancel);
        Assert.StartsWith("after step 5\n  1. ", run.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("before training", run.Out, StringComparison.Ordinal);
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => server.Client.Jobs.GetSamplesAsync(job.Id, steps: 0, cancellationToken: Cancel));
        Assert.Equal(ProblemTypes.Invalid, refused.Problem.Type);
        refused = await Assert.ThrowsAsync<ModelOpsException>(() => server.Client.Jobs.GetSamplesAsync("job-none", cancellationToken: Cancel));
        Assert.Equal(ProblemTypes.NotFound, refused.Problem.Type);
    }

    private async Task AssertMetricsAsync(Job job)
    {
        var jobs = server.Client.Jobs;
        var all = (await jobs.GetMetricsAsync(job.Id, [], cancellationToken: Cancel)).ToDictionary(series => series.Name, series => series.Points);
        Assert.Equal(["eta_seconds", "grad_norm", "learning_rate", "loss", "memory_bytes", "mfu", "tokens_per_second", "validation_loss"], all.Keys);
        Assert.Equal([1, 2, 3, 4, 5], all["loss"].Select(point => point.Step));
        Assert.Equal([0, 5], all["validation_loss"].Select(point => point.Step));
        Assert.Equal([4, 5], Assert.Single(await jobs.GetMetricsAsync(job.Id, ["loss"], after: 3, cancellationToken: Cancel)).Points.Select(point => point.Step));
        var reduced = await jobs.GetMetricsAsync(job.Id, ["loss", "grad_norm", "nothing"], points: 3, cancellationToken: Cancel);
        Assert.Equal([3, 3], reduced.Select(series => series.Points.Count));
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => jobs.GetMetricsAsync(job.Id, [], points: 2, cancellationToken: Cancel));
        Assert.Equal(ProblemTypes.Invalid, refused.Problem.Type);
        refused = await Assert.ThrowsAsync<ModelOpsException>(() => jobs.GetMetricsAsync("job-none", [], cancellationToken: Cancel));
        Assert.Equal(ProblemTypes.NotFound, refused.Problem.Type);
        refused = await Assert.ThrowsAsync<ModelOpsException>(() => jobs.ListCheckpointsAsync("job-none", Cancel));
        Assert.Equal(ProblemTypes.NotFound, refused.Problem.Type);
    }

    private async Task<Job> FailAsync(string recipe)
    {
        var failed = await server.EndAsync(await server.Client.Jobs.StartTrainingAsync(
            new CreateTraining { Base = "base", Dataset = "rows", Name = "never", Recipe = JsonElement.Parse(recipe) }, Cancel));
        Assert.Equal(JobState.Failed, failed.State);
        Assert.DoesNotContain(await server.Client.Artifacts.ListAsync(kind: null, Cancel), artifact => artifact.Name == "never");
        return failed;
    }

    private async Task<CliRun> TrainAsync(string name, string recipe, params string[] flags)
    {
        var file = Path.Combine(server.Home, $"{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(file, recipe, Cancel);
        return await CliRun.Of(
            ["train", "sft", "--base", "base", "--dataset", "rows", "--name", name, "--recipe", file, "--watch", "--json", "--home", server.Home, .. flags],
            cancellationToken: Cancel);
    }

    private static string Weights(Artifact artifact) => artifact.Files.Single(file => file.Path == "model.safetensors").Sha256;
}
