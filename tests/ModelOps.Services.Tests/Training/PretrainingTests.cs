using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training;
using ModelOps.Training.Data;

namespace ModelOps.Services.Tests.Training;

public sealed class PretrainingTests : IDisposable
{
    private const int Steps = 12;
    private const int Broken = 7;
    private static readonly TimeSpan limit = TimeSpan.FromMinutes(2);
    private readonly TempFolder temp = new();

    public PretrainingTests() => TestModels.Write(temp["base"]);

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task RunAsync_RandomWeights_LearnsTheTextsAndWritesAModelOfTheBasesShape()
    {
        var told = new Progress();

        var outcome = await RunAsync(Request("model") with { Recipe = Recipe with { MaxSteps = 60, Samples = 1 } }, told);

        Assert.Equal(Math.Log(TestModels.TinyConfig.VocabularySize), outcome.LossBefore, tolerance: 0.2); // it knows nothing: each token is as likely as any
        Assert.True(outcome.LossAfter < outcome.LossBefore - 2, $"{outcome.LossBefore} → {outcome.LossAfter}");
        Assert.Equal((LearnedTokens.All, WeightInitialization.Random, null), (outcome.ResolvedRecipe.TrainOn, outcome.ResolvedRecipe.Initialization, outcome.ResolvedRecipe.Rank));
        Assert.Contains(told.Messages, message => message.StartsWith("after step 60: \"Text ", StringComparison.Ordinal) && message.Contains("\" goes on \"", StringComparison.Ordinal));
        var written = ModelFolder.Open(temp["model"]);
        Assert.Equal(File.ReadAllText(Path.Combine(temp["base"], ModelFolder.TokenizerFile)), File.ReadAllText(Path.Combine(temp["model"], ModelFolder.TokenizerFile)));
        using var model = CausalLanguageModel.Load(written);
        var tokens = HuggingFaceTokenizer.Load(temp["base"]).Encode(Text(0));
        Assert.True(LossOf(model, tokens) < outcome.LossBefore - 2);
    }

    [Fact]
    public async Task RunAsync_WeightsOfTheBase_BeginsWhereItStands()
    {
        var request = Request("more") with { TrainRows = Texts(2), ValidationRows = [new TextExample(Text(0))], Recipe = new() { Method = TrainingMethod.Pretrain, MaxSteps = 1 } };

        var outcome = await RunAsync(request);

        using var model = CausalLanguageModel.Load(ModelFolder.Open(temp["base"]));
        var tokenizer = HuggingFaceTokenizer.Load(temp["base"]);
        Assert.Equal(LossOf(model, [.. tokenizer.Encode(Text(0)), tokenizer.IdOf(tokenizer.EosToken!)!.Value]), outcome.LossBefore, tolerance: 1e-4); // and a text's end is learned
        Assert.Equal(WeightInitialization.Base, outcome.ResolvedRecipe.Initialization);
    }

    [Fact]
    public async Task RunAsync_BrokenOffAndRunAgain_EndsAsAnUndisturbedRunDoes()
    {
        var whole = new Progress();
        await RunAsync(Request("whole"), whole);
        var broken = new Progress { BreakAfter = Broken };
        await Assert.ThrowsAsync<IOException>(() => RunAsync(Request("broken"), broken));
        Assert.False(Directory.Exists(temp["broken"]));
        var rest = new Progress();

        await RunAsync(Request("broken"), rest);

        Assert.Equal(Steps, whole.Losses.Count);
        Assert.Equal(whole.Losses.Take(Broken), broken.Losses);
        Assert.Equal(whole.Losses.Skip(Broken - 1), rest.Losses); // the step that broke was not saved
        Assert.Equal(Weights("whole"), Weights("broken"));
    }

    [Fact]
    public async Task RunAsync_RowsOfTheOtherKind_AreRefusedWithTheReason()
    {
        ChatExample[] chats = [new([new("user", "Hi"), new(ChatMessage.AssistantRole, "Hello")])];

        var pretraining = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(Request("never") with { TrainRows = chats }));
        var finetuning = await Assert.ThrowsAsync<TrainingFailedException>(() => RunAsync(Request("never") with { Recipe = new() }));

        Assert.Equal((TrainingFailure.UnusableRows, TrainingFailure.UnusableRows), (pretraining.Failure, finetuning.Failure));
        Assert.Contains("it is a conversation, and this method learns from texts", pretraining.Message, StringComparison.Ordinal);
        Assert.Contains("it is a text, and this method learns from conversations", finetuning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_TextLongerThanARow_IsSplitAndLosesNothing()
    {
        var text = string.Join(' ', Enumerable.Range(0, 300));
        var length = HuggingFaceTokenizer.Load(temp["base"]).Encode(text).Length + 1;

        var outcome = await RunAsync(Request("long") with { TrainRows = [new TextExample(text)], Recipe = Recipe with { MaxSteps = null, Epochs = 1, BatchSize = 1 } });

        Assert.Equal(new RowReport(1, 0, 0, null), outcome.TrainRows);
        Assert.Equal(length + outcome.Steps - 1, outcome.Tokens); // a piece begins with the last token of the one before
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(9)]
    [InlineData(10)]
    [InlineData(11)]
    [InlineData(19)]
    [InlineData(20)]
    public void Split_AnyLength_PredictsEveryTokenOnceAndInOrder(int length)
    {
        var pieces = TrainingSequence.OfText([.. Enumerable.Range(0, length)]).Split(10).ToList();

        Assert.Equal(Enumerable.Range(1, length - 1), pieces.SelectMany(piece => piece.Tokens.Skip(1)));
        Assert.All(pieces, piece => Assert.InRange(piece.Length, Math.Min(2, length), 10));
    }

    private static Recipe Recipe => new()
    {
        Method = TrainingMethod.Pretrain,
        Initialization = WeightInitialization.Random,
        MaxSteps = Steps,
        LearningRate = 0.01,
        BatchSize = 2,
        SequenceLength = 64,
        CheckpointSeconds = 0,
        Seed = 5,
    };

    private TrainingRequest Request(string name) => new()
    {
        ModelFolder = temp["base"],
        TrainRows = Texts(40),
        ValidationRows = Texts(4),
        OutputFolder = temp[name],
        CheckpointFolder = temp[$"{name}-checkpoints"],
        BaseModelName = "tiny",
        Recipe = Recipe,
        Threads = 1,
    };

    private static List<TextExample> Texts(int count) => [.. Enumerable.Range(0, count).Select(row => new TextExample(Text(row)))];

    private static string Text(int row) => $"Text {row % 8}: there is a thing in the world, and people have a name for it.";

    private byte[] Weights(string name) => File.ReadAllBytes(Path.Combine(temp[name], ModelFolder.WeightsFile));

    /// <summary>Nats per token, from the logits alone.</summary>
    private static double LossOf(CausalLanguageModel model, int[] tokens)
    {
        var logits = model.Logits(tokens);
        return Enumerable.Range(0, tokens.Length - 1).Average(at =>
        {
            var row = Enumerable.Range(0, logits.GetLength(1)).Select(token => (double)logits[at, token]).ToArray();
            return Math.Log(row.Sum(score => Math.Exp(score - row.Max()))) + row.Max() - row[tokens[at + 1]];
        });
    }

    /// <summary>Saving takes no time, so every step is saved.</summary>
    private sealed class StoppedTime : TimeProvider
    {
        public override long GetTimestamp() => 0;
    }

    private static async Task<TrainingOutcome> RunAsync(TrainingRequest request, Progress? progress = null) =>
        await new RecipeTraining(new StoppedTime()).RunAsync(request, progress, TestContext.Current.CancellationToken).WaitAsync(limit, TestContext.Current.CancellationToken);

    private sealed class Progress : IProgress<TrainingProgress>
    {
        public int BreakAfter { get; init; } = int.MaxValue;

        public List<double> Losses { get; } = [];

        public List<string> Messages { get; } = [];

        public void Report(TrainingProgress value)
        {
            if (value.Message is { } message) Messages.Add(message);
            if (value is not { Stage: TrainingStages.Train, Message: null }) return;
            Losses.Add(value.Metrics[TrainingMetrics.Loss]);
            if (Losses.Count == BreakAfter) throw new IOException("the power is gone");
        }
    }
}
