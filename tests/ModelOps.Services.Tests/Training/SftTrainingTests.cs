using System.Globalization;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training;

namespace ModelOps.Services.Tests.Training;

public sealed class SftTrainingTests : IDisposable
{
    private static readonly TimeSpan limit = TimeSpan.FromMinutes(2);
    private readonly TempFolder temp = new();

    public SftTrainingTests() => TestModels.Write(temp["base"]);

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task RunAsync_FewRows_LowersTheLossAndWritesAnAdapterThatLoads()
    {
        var progress = new Progress();

        var outcome = await RunAsync(Request(), progress);

        Assert.True(outcome.LossAfter < outcome.LossBefore - 1, $"{outcome.LossBefore} → {outcome.LossAfter}");
        Assert.Equal(EvaluationRows.Validation, outcome.EvaluatedOn);
        Assert.Equal(new RowReport(24, 0, 0, null), outcome.TrainRows);
        Assert.Equal(outcome.ResolvedRecipe.Steps, progress.Reports.Count(report => report.Stage == TrainingStages.Train));
        Assert.All(progress.Losses, loss => Assert.True(double.IsFinite(loss)));
        Assert.Equal([outcome.LossBefore, outcome.LossAfter], progress.ValidationLosses);
        Assert.StartsWith($"{outcome.Steps} steps of 1 rows of up to 256 tokens, learning rate 0.01; memory by part: weights ", Assert.Single(progress.Messages), StringComparison.Ordinal);
        using var model = CausalLanguageModel.Load(ModelFolder.Open(temp["base"]));
        var plain = model.Logits([5, 6, 7]);
        model.LoadAdapter(AdapterFolder.Open(temp["adapter"]));
        Assert.NotEqual(plain, model.Logits([5, 6, 7]));
        Assert.Equal(["adapter", "base"], Directory.EnumerateFileSystemEntries(temp.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task RunAsync_SameSeed_GivesSameLossesAndAdapterToTheLastBit()
    {
        var recipe = new Recipe { MaxSteps = 8, Dropout = 0.1, Seed = 5 };
        var (one, two, three) = (new Progress(), new Progress(), new Progress());

        await RunAsync(Request() with { Recipe = recipe, OutputFolder = temp["one"] }, one);
        await RunAsync(Request() with { Recipe = recipe, OutputFolder = temp["two"] }, two);
        await RunAsync(Request() with { Recipe = recipe with { Seed = 6 }, OutputFolder = temp["three"] }, three);

        Assert.Equal(one.Losses, two.Losses);
        Assert.NotEqual(one.Losses, three.Losses);
        Assert.Equal(Weights("one"), Weights("two"));

        byte[] Weights(string folder) => File.ReadAllBytes(Path.Combine(temp[folder], AdapterFolder.WeightsFile));
    }

    [Fact]
    public async Task RunAsync_NoValidationRows_MeasuresOnTrainingRowsAndSaysSo()
    {
        var progress = new Progress();
        var outcome = await RunAsync(Request() with { ValidationRows = [], Recipe = new() { MaxSteps = 2 } }, progress);

        Assert.Equal(EvaluationRows.TrainSample, outcome.EvaluatedOn);
        Assert.Equal(2, outcome.Steps);
        Assert.True(double.IsFinite(outcome.LossAfter));
        Assert.Contains("there is no validation row", progress.Messages.First(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_RowsThatDoNotFit_AreCounted()
    {
        var longAnswer = string.Join(' ', Enumerable.Repeat("word", 100));
        var rows = Rows(4)
            .Append(Row("What does it mean?", longAnswer)) // loses its end
            .Append(Row(longAnswer, "yes")) // loses all that could be learned
            .Append(new ChatExample([new ChatMessage("user", "hello")]));

        var progress = new Progress();
        var outcome = await RunAsync(Request() with { TrainRows = [.. rows], Recipe = new() { MaxSteps = 1, SequenceLength = 64 } }, progress);

        Assert.Collection(
            progress.Messages,
            cut => Assert.StartsWith("1 of 7 training rows are longer than 64 tokens and lose their end; a larger sequence_length", cut, StringComparison.Ordinal),
            skipped => Assert.StartsWith("2 of 7 training rows are left out", skipped, StringComparison.Ordinal),
            plan => Assert.StartsWith("1 steps of 1 rows of up to 64 tokens", plan, StringComparison.Ordinal));
        Assert.Equal((5, 1, 2), (outcome.TrainRows.Used, outcome.TrainRows.Truncated, outcome.TrainRows.Skipped));
        Assert.Contains("row 7", outcome.TrainRows.FirstSkipReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_NothingToLearn_FailsWithTheReason()
    {
        var silent = new ChatExample([new ChatMessage("user", "hello")]);

        var error = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(Request() with { TrainRows = [silent, silent] }));

        Assert.Equal(TrainingFailure.UnusableRows, error.Failure);
        Assert.Contains("none of the 2", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(temp["adapter"]));
    }

    [Fact]
    public async Task RunAsync_InvalidRecipe_SaysAllThatIsWrong()
    {
        var recipe = new Recipe { Rank = 1000, SequenceLength = 4096 };

        var error = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(Request() with { Recipe = recipe }));

        Assert.Equal(TrainingFailure.InvalidRecipe, error.Failure);
        Assert.All(["rank is 1000", "made for 512"], part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_UnknownTargetModule_NamesIt()
    {
        var error = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(Request() with { Recipe = new() { TargetModules = "q_proj,typo" } }));

        Assert.Equal(TrainingFailure.InvalidRecipe, error.Failure);
        Assert.Contains("'typo'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "no chat template")]
    [InlineData("{% for %}", "cannot be used")]
    public async Task RunAsync_BaseWithoutUsableTemplate_Fails(string template, string message)
    {
        var config = TokenizerConfig.Load(temp["base"]);
        (config with { ChatTemplate = template.Length == 0 ? null : template }).Save(temp["base"]);

        var error = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(Request()));

        Assert.Equal(TrainingFailure.InvalidRecipe, error.Failure);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_RowThatTheTemplateRefuses_IsSkippedWithTheReason()
    {
        const string strict = "{% if messages[0]['role'] != 'user' %}{{ raise_exception('user first') }}{% endif %}" + TestModels.ChatMl;
        (TokenizerConfig.Load(temp["base"]) with { ChatTemplate = strict }).Save(temp["base"]);
        var refused = new ChatExample([new ChatMessage(ChatMessage.AssistantRole, "hello")]);

        var outcome = await RunAsync(Request() with { TrainRows = [.. Rows(2), refused], Recipe = new() { MaxSteps = 1 } });

        Assert.Equal((2, 1), (outcome.TrainRows.Used, outcome.TrainRows.Skipped));
        Assert.Contains("user first", outcome.TrainRows.FirstSkipReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_Cancelled_LeavesNothingBehind()
    {
        using var cancellation = new CancellationTokenSource();
        var progress = new Progress { OnReport = report => { if (report is { Stage: TrainingStages.Train, Step: 3 }) cancellation.Cancel(); } };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => new RecipeTraining(TimeProvider.System).RunAsync(Request(), progress, cancellation.Token).WaitAsync(limit, TestContext.Current.CancellationToken));

        Assert.Equal([temp["base"]], Directory.EnumerateFileSystemEntries(temp.Path));
        Assert.Equal(3, progress.Reports.Count(report => report.Stage == TrainingStages.Train));
    }

    [Fact]
    public async Task RunAsync_OccupiedOutputFolder_IsRefusedBeforeTraining()
    {
        Directory.CreateDirectory(temp["adapter"]);
        await File.WriteAllTextAsync(Path.Combine(temp["adapter"], "precious"), "", TestContext.Current.CancellationToken);
        var progress = new Progress();

        await Assert.ThrowsAsync<IOException>(() => RunAsync(Request(), progress));

        Assert.Empty(progress.Reports);
    }

    [Theory]
    [InlineData(TrainingMethod.Qlora, false)]
    [InlineData(TrainingMethod.Lora, true)]
    public async Task RunAsync_OtherAdapters_LowerTheLossAndLoad(TrainingMethod method, bool dora)
    {
        var outcome = await RunAsync(Request() with { Recipe = Request().Recipe with { Method = method, Dora = dora, Rslora = dora, GradientCheckpointing = true, NeftuneAlpha = 1 } });

        Assert.True(outcome.LossAfter < outcome.LossBefore - 1, $"{outcome.LossBefore} → {outcome.LossAfter}");
        var adapter = AdapterFolder.Open(temp["adapter"]);
        Assert.Equal((dora, dora), (adapter.Config.IsDecomposed, adapter.Config.UseRankStabilizedScale));
        using var model = CausalLanguageModel.Load(ModelFolder.Open(temp["base"]));
        model.LoadAdapter(adapter);
    }

    [Fact]
    public async Task RunAsync_Full_WritesAModelThatLoads()
    {
        var outcome = await RunAsync(Request() with { Recipe = new() { Method = TrainingMethod.Full, Epochs = 10, LearningRate = 0.003 } });

        Assert.True(outcome.LossAfter < outcome.LossBefore - 1, $"{outcome.LossBefore} → {outcome.LossAfter}");
        Assert.Null(outcome.ResolvedRecipe.Rank);
        var written = ModelFolder.Open(temp["adapter"]);
        Assert.Equal(ModelFolder.Open(temp["base"]).ChatTemplate, written.ChatTemplate);
        using var before = CausalLanguageModel.Load(ModelFolder.Open(temp["base"]));
        using var after = CausalLanguageModel.Load(written);
        Assert.NotEqual(before.Logits([5, 6, 7]), after.Logits([5, 6, 7]));
    }

    [Fact]
    public async Task RunAsync_NoImprovement_StopsAndTakesTheBest()
    {
        var progress = new Progress();
        var recipe = new Recipe { MaxSteps = 60, LearningRate = 1e-12, ValidateEvery = 2, Patience = 3 }; // no step changes anything

        var outcome = await RunAsync(Request() with { Recipe = recipe }, progress);

        var measured = progress.Reports.Where(report => report is { Stage: TrainingStages.Validate, Step: var step } && step == report.Total).Select(report => report.Metrics[TrainingMetrics.Loss]).ToList();
        Assert.Equal(8, outcome.Steps);
        Assert.Equal(measured.Min(), outcome.LossAfter);
        Assert.Equal(["adapter", "base"], Directory.EnumerateFileSystemEntries(temp.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task RunAsync_CheckpointsOfAnotherRun_AreRefused()
    {
        var request = Request() with { CheckpointFolder = temp["checkpoints"], Recipe = new() { MaxSteps = 2 } };
        await RunAsync(request);

        var error = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(request with { OutputFolder = temp["other"], Recipe = new() { MaxSteps = 3 } }));

        Assert.Equal(TrainingFailure.OtherCheckpoints, error.Failure);
        Assert.Contains("another recipe", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_NewestCheckpointDamaged_GoesOnFromTheOneBefore()
    {
        var request = Request() with { CheckpointFolder = temp["checkpoints"], Recipe = new() { MaxSteps = 6, CheckpointSeconds = 0, ValidateEvery = 2 } };
        var whole = new Progress();
        await RunAsync(request, whole);
        var newest = Directory.GetFiles(temp["checkpoints"]).OrderBy(file => int.Parse(Path.GetFileNameWithoutExtension(file)["step-".Length..], CultureInfo.InvariantCulture)).Last();
        var bytes = await File.ReadAllBytesAsync(newest, TestContext.Current.CancellationToken);
        bytes[^5] ^= 1;
        await File.WriteAllBytesAsync(newest, bytes, TestContext.Current.CancellationToken);
        var resumed = new Progress();

        await RunAsync(request with { OutputFolder = temp["again"] }, resumed);

        Assert.Contains(resumed.Reports, report => report is { Stage: TrainingStages.Train, Step: 6 });
        Assert.DoesNotContain(resumed.Reports, report => report is { Stage: TrainingStages.Train, Step: 1 });
        Assert.Matches("^goes on at step [45] of 6, from a checkpoint$", resumed.Messages.Last());
        Assert.Equal(whole.Losses.Last(), resumed.Losses.Last());
    }

    [Fact]
    public async Task RunAsync_MoreMemoryThanThereIs_IsRefusedWithThePartsAndWhatWouldFit()
    {
        var recipe = new Recipe { Method = TrainingMethod.Full, BatchSize = 4000, SequenceLength = 512 };

        var error = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(Request() with { Recipe = recipe, MemoryLimit = 1L << 30 }));

        Assert.Equal(TrainingFailure.InvalidRecipe, error.Failure);
        Assert.All(
            ["GiB of memory", "weights", "activations", "1.0 GiB are free", "batch_size: 1 with accumulation: 4000 ("],
            part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task PlanAsync_Anything_IsWhatTheRunThenDoesAndWritesNothing()
    {
        var request = Request() with { Recipe = new() { MaxSteps = 3 }, TrainRows = [.. Rows(24), new ChatExample([new("user", "Nobody answers.")])] };

        var plan = await new RecipeTraining(TimeProvider.System).PlanAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(["base"], Directory.EnumerateFileSystemEntries(temp.Path).Select(Path.GetFileName));
        var progress = new Progress();
        var outcome = await RunAsync(request, progress);
        Assert.Equal(outcome.ResolvedRecipe.ToJson().GetRawText(), plan.Recipe.ToJson().GetRawText());
        Assert.Equal((outcome.TrainRows, outcome.ValidationRows), (plan.TrainRows, plan.ValidationRows));
        Assert.Contains(Assert.Single(plan.Advice), progress.Messages);
        Assert.Equal((plan.Memory.Sum(part => part.Bytes), 0), (plan.MemoryNeeded, plan.WouldFit.Count));
        Assert.Equal(plan.Work.Flops, (plan.Work.Tokens * plan.Work.FlopsPerToken) + (plan.Work.MeasuredTokens * CausalLanguageModel.ForwardFlopsPerToken(ModelFolder.Open(temp["base"]).Config, plan.Recipe.SequenceLength)), 1.0);
        Assert.InRange(plan.Work.Tokens, outcome.Tokens / 2, outcome.Tokens * 2);
        Assert.True(plan.Work.PeakFlops > 1e8);
        Assert.Equal("lora", plan.ToJson().GetProperty("recipe").GetProperty("method").GetString());
    }

    [Fact]
    public async Task RunAsync_Samples_TellsWhatTheModelAnswersAndChangesNoLoss()
    {
        var longQuestion = $"What does\n{string.Join(' ', Enumerable.Repeat("it", 40))} mean?";
        var validation = Rows(2).Prepend(Row(longQuestion, "yes")).Prepend(Row(string.Join(' ', Enumerable.Repeat("word", 400)), "yes")); // the first fits in no row
        var request = Request() with { ValidationRows = [.. validation], Recipe = new() { MaxSteps = 40, LearningRate = 0.01, Dropout = 0.1, BatchSize = 2, ValidateEvery = 20 } };
        var (silent, telling) = (new Progress(), new Progress());
        await RunAsync(request with { OutputFolder = temp["silent"] }, silent);

        await RunAsync(request with { Recipe = request.Recipe with { Samples = 2 } }, telling);

        Assert.Equal(silent.Losses, telling.Losses);
        Assert.Equal(Weights("silent"), Weights("adapter"));
        var told = telling.Messages.Where(message => message.Contains("is answered", StringComparison.Ordinal)).ToList();
        Assert.Equal(["before training", "after step 20", "after step 40"], told.Select(message => message[..message.IndexOf(':', StringComparison.Ordinal)]).Distinct());
        using var model = CausalLanguageModel.Load(ModelFolder.Open(temp["base"]));
        var shown = $"What does {string.Join(' ', Enumerable.Repeat("it", 40))}"[..80] + "…";
        Assert.Equal(Expected("before training"), told[..2]);
        model.LoadAdapter(AdapterFolder.Open(temp["adapter"]));
        Assert.Equal(Expected(telling.ValidationLosses.Skip(1).MinBy(loss => loss) == telling.ValidationLosses.Last() ? "after step 40" : "after step 20"), told[^2..]);
        Assert.NotEqual(told[..2].Select(Answer), told[^2..].Select(Answer));

        string[] Expected(string when) =>
            [$"{when}: \"{shown}\" is answered \"{Answered(model, longQuestion)}\"", $"{when}: \"What does 0 mean?\" is answered \"{Answered(model, "What does 0 mean?")}\""];

        static string Answer(string message) => message[message.IndexOf("is answered", StringComparison.Ordinal)..];

        byte[] Weights(string folder) => File.ReadAllBytes(Path.Combine(temp[folder], AdapterFolder.WeightsFile));
    }

    private string Answered(CausalLanguageModel model, string question)
    {
        var tokenizer = HuggingFaceTokenizer.Load(temp["base"]);
        var prompt = tokenizer.Encode($"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n");
        var answer = Assert.Single(model.Generate([prompt], new() { MaxTokens = 64, StopTokens = [tokenizer.IdOf("<|im_end|>")!.Value] }, TestContext.Current.CancellationToken));
        var words = tokenizer.Decode([.. answer.Tokens], skipSpecialTokens: true).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return string.Join(' ', words) + (answer.Stopped ? "" : "…");
    }

    private TrainingRequest Request() => new()
    {
        ModelFolder = temp["base"],
        TrainRows = Rows(24),
        ValidationRows = Rows(4),
        OutputFolder = temp["adapter"],
        Recipe = new() { Epochs = 20, LearningRate = 0.01 },
        Threads = 1,
    };

    private static async Task<TrainingOutcome> RunAsync(TrainingRequest request, IProgress<TrainingProgress>? progress = null) =>
        await new RecipeTraining(TimeProvider.System).RunAsync(request, progress, TestContext.Current.CancellationToken)
            .WaitAsync(limit, TestContext.Current.CancellationToken);

    private static List<ChatExample> Rows(int count) =>
        [.. Enumerable.Range(0, count).Select(row => Row($"What does {row % 8} mean?", "It means that there is a thing in the world."))];

    private static ChatExample Row(string question, string answer) =>
        new([new ChatMessage("user", question), new ChatMessage(ChatMessage.AssistantRole, answer)]);

    private sealed class Progress : IProgress<TrainingProgress>
    {
        public List<TrainingProgress> Reports { get; } = [];

        public Action<TrainingProgress>? OnReport { get; init; }

        public IEnumerable<double> Losses => Values(TrainingMetrics.Loss);

        public IEnumerable<double> ValidationLosses => Values(TrainingMetrics.ValidationLoss);

        public IEnumerable<string> Messages => Reports.Select(report => report.Message).OfType<string>();

        public void Report(TrainingProgress value)
        {
            Reports.Add(value);
            OnReport?.Invoke(value);
        }

        private IEnumerable<double> Values(string name) => Reports.Where(report => report.Metrics.ContainsKey(name)).Select(report => report.Metrics[name]);
    }
}
