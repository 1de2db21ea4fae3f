using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Recipes;
using ModelOps.Training;
using ModelOps.Training.Plugins;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Services.Tests.Plugins;

/// <summary>Algorithms of plugins in training runs, good ones and bad ones.</summary>
public sealed class PluginTests : IDisposable
{
    private static readonly PluginAssembly assembly = new("tests", new string('a', 64));
    private readonly TempFolder temp = new();

    public PluginTests() => TestModels.Write(temp["base"]);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task Train_LossOfAPlugin_IsWhatItComputesAndStandsInTheRecipe()
    {
        var plain = await TrainAsync(new() { MaxSteps = 4 });
        var same = await TrainAsync(new() { MaxSteps = 4, Loss = "scaled(factor=1)" }, new ScaledCrossEntropy());
        var twice = await TrainAsync(new() { MaxSteps = 4, Loss = "scaled" }, new ScaledCrossEntropy());

        Assert.Equal(plain.Losses[0], same.Losses[0], 1e-4);
        Assert.Equal(2 * plain.Losses[0], twice.Losses[0], 1e-4);
        Assert.Equal("scaled(factor=2)", twice.Outcome.ResolvedRecipe.Loss);
        Assert.Equal(new Dictionary<string, string> { ["tests"] = assembly.Sha256 }, twice.Outcome.ResolvedRecipe.Plugins);
        Assert.Equal("scaled(factor=2)", twice.Outcome.ResolvedRecipe.ToJson().GetProperty("loss").GetString());
        Assert.Null(plain.Outcome.ResolvedRecipe.Plugins);
    }

    [Fact]
    public async Task Train_OptimizerAndScheduleOfPlugins_StepAsTheySay()
    {
        var run = await TrainAsync(
            new() { MaxSteps = 12, LearningRate = 0.05, WarmupRatio = 0, Optimizer = "momentum(decay=0.5)", Schedule = "halving" }, new Momentum(), new Halving());

        Assert.Equal([0.05, 0.025, 0.0125], run.Rates.Take(3).Select(rate => Math.Round(rate, 9)));
        Assert.True(run.Losses[^1] < run.Losses[0], $"{run.Losses[0]} → {run.Losses[^1]}");
    }

    [Fact]
    public async Task Train_OptimizerOfAPlugin_ResumedGoesOnWithItsState()
    {
        var recipe = new Recipe { MaxSteps = 8, LearningRate = 0.05, Optimizer = "momentum", CheckpointSeconds = 0, Seed = 3 };
        var whole = await TrainAsync(recipe, new Momentum());
        using var stop = new CancellationTokenSource();
        var progress = new Losses(step => { if (step == 4) stop.Cancel(); });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => RunAsync(recipe, progress, temp["checkpoints"], stop.Token, new Momentum()));

        await RunAsync(recipe, progress, temp["checkpoints"], Cancellation, new Momentum());

        Assert.Equal(whole.Losses, progress.All);
    }

    public static TheoryData<string, string, string> Faults => new()
    {
        { "loss", "throws", "threw InvalidOperationException: no idea" },
        { "loss", "vector", "gave a tensor of (" },
        { "loss", "detached", "no gradient flows back" },
        { "loss", "nan", "gave NaN of finite logits" },
        { "loss", "double", "gave Float64" },
        { "optimizer", "throws", "threw InvalidOperationException: no idea" },
        { "optimizer", "scalar", "an update has the parameter's shape" },
        { "optimizer", "nan", "numbers that are not finite" },
        { "schedule", "throws", "threw InvalidOperationException: no idea" },
        { "schedule", "nan", "gave NaN at step 1" },
        { "schedule", "negative", "gave -1 at step 1" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Train_PluginAtFault_FailsWithItsName(string kind, string fault, string message)
    {
        var recipe = new Recipe { MaxSteps = 3, WarmupRatio = 0.1 };
        var (named, plugin) = kind switch
        {
            "loss" => (recipe with { Loss = "bad" }, (IAlgorithmPlugin)new BadLoss(fault)),
            "optimizer" => (recipe with { Optimizer = "bad" }, new BadOptimizer(fault)),
            _ => (recipe with { Schedule = "bad" }, new BadSchedule(fault)),
        };

        var failure = await Assert.ThrowsAsync<TrainingFailedException>(() => TrainAsync(named, plugin));

        Assert.Equal(TrainingFailure.PluginFailed, failure.Failure);
        Assert.Contains("bad of plugin tests (sha256 aaaaaaaaaaaa…)", failure.Message, StringComparison.Ordinal);
        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(temp["adapter"]));
    }

    [Fact]
    public async Task Train_NamesThatAreNotThere_AreRefusedAllAtOnceWithThoseThatAre()
    {
        var failure = await Assert.ThrowsAsync<TrainingFailedException>(
            () => TrainAsync(new() { Loss = "focul", Optimizer = "momentum(beta=1)", Schedule = "cosine(x=1)" }, new Momentum()));

        Assert.Equal(TrainingFailure.InvalidRecipe, failure.Failure);
        Assert.All(
            [
                "there is no loss 'focul'; there are cross_entropy", "the optimizer momentum has no option beta; it has decay",
                "the scheduler cosine has no option x; it has none",
            ],
            part => Assert.Contains(part, failure.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void Add_WhatCannotBeNamed_IsRefused()
    {
        var registry = new AlgorithmRegistry();
        registry.Add(new Momentum(), assembly);

        Assert.Contains("the optimizer 'momentum' of the plugin tests has the name of one of tests", Refusal(new Momentum()), StringComparison.Ordinal);
        Assert.Contains("has the name of one of ModelOps itself", Refusal(new NamedMetric("loss")), StringComparison.Ordinal);
        Assert.Contains("has the name of one of ModelOps", Refusal(new NamedMetric("rouge_l")), StringComparison.Ordinal);
        Assert.Contains("'Bad Name'", Refusal(new NamedMetric("Bad Name")), StringComparison.Ordinal);
        Assert.Contains("of no kind", Refusal(new Kindless()), StringComparison.Ordinal);

        string Refusal(IAlgorithmPlugin plugin) => Assert.Throws<PluginException>(() => registry.Add(plugin, assembly)).Message;
    }

    private async Task<(TrainingOutcome Outcome, IReadOnlyList<double> Losses, IReadOnlyList<double> Rates)> TrainAsync(Recipe recipe, params IAlgorithmPlugin[] plugins)
    {
        var progress = new Losses();
        var outcome = await RunAsync(recipe, progress, checkpoints: null, Cancellation, plugins);
        Directory.Delete(temp["adapter"], recursive: true);
        return (outcome, progress.All, progress.Rates);
    }

    private Task<TrainingOutcome> RunAsync(Recipe recipe, Losses progress, string? checkpoints, CancellationToken cancellationToken, params IAlgorithmPlugin[] plugins)
    {
        var registry = new AlgorithmRegistry();
        foreach (var plugin in plugins) registry.Add(plugin, assembly);
        return new RecipeTraining(TimeProvider.System, registry).RunAsync(
            new()
            {
                ModelFolder = temp["base"],
                TrainRows = [.. Enumerable.Range(0, 12).Select(i => new ChatExample([new("user", $"{i}?"), new(ChatMessage.AssistantRole, $"It is {i % 3} apples.")]))],
                ValidationRows = [],
                OutputFolder = temp["adapter"],
                CheckpointFolder = checkpoints,
                Recipe = recipe,
                Threads = 1,
            },
            progress,
            cancellationToken);
    }

    private sealed class Losses(Action<int>? seen = null) : IProgress<TrainingProgress>
    {
        public List<double> All { get; } = [];

        public List<double> Rates { get; } = [];

        public void Report(TrainingProgress value)
        {
            if (value is not { Stage: TrainingStages.Train, Message: null }) return;
            All.Add(value.Metrics[TrainingMetrics.Loss]);
            Rates.Add(value.Metrics[TrainingMetrics.LearningRate]);
            seen?.Invoke(value.Step);
        }
    }

    private sealed class ScaledCrossEntropy : LossPlugin
    {
        public override string Name => "scaled";

        public override IReadOnlyDictionary<string, double> Options { get; } = new Dictionary<string, double> { ["factor"] = 2 };

        public override Tensor Apply(LossContext context)
        {
            using Scalar factor = context.Options["factor"];
            return nn.functional.cross_entropy(context.Logits, context.Targets) * factor;
        }
    }

    private sealed class Momentum : OptimizerPlugin
    {
        public override string Name => "momentum";

        public override IReadOnlyDictionary<string, double> Options { get; } = new Dictionary<string, double> { ["decay"] = 0.9 };

        public override IReadOnlyList<string> State => ["velocity"];

        public override Tensor Apply(OptimizerContext context)
        {
            using Scalar decay = context.Options["decay"], rate = -context.LearningRate, one = 1;
            return context.State["velocity"].mul_(decay).add_(context.Gradient, one) * rate;
        }
    }

    private sealed class Halving : SchedulerPlugin
    {
        public override string Name => "halving";

        public override double Apply(SchedulerContext context) => Math.Pow(0.5, Math.Min(context.Step, 2));
    }

    private sealed class BadLoss(string fault) : LossPlugin
    {
        public override string Name => "bad";

        public override Tensor Apply(LossContext context)
        {
            var loss = nn.functional.cross_entropy(context.Logits, context.Targets);
            using Scalar nan = double.NaN;
            return fault switch
            {
                "vector" => nn.functional.cross_entropy(context.Logits, context.Targets, reduction: nn.Reduction.None),
                "detached" => loss.detach(),
                "nan" => loss * nan,
                "double" => loss.to(ScalarType.Float64),
                _ => throw new InvalidOperationException("no idea"),
            };
        }
    }

    private sealed class BadOptimizer(string fault) : OptimizerPlugin
    {
        public override string Name => "bad";

        public override Tensor Apply(OptimizerContext context)
        {
            using Scalar nan = double.NaN;
            return fault switch
            {
                "scalar" => context.Gradient.sum(),
                "nan" => context.Gradient * nan,
                _ => throw new InvalidOperationException("no idea"),
            };
        }
    }

    private sealed class BadSchedule(string fault) : SchedulerPlugin
    {
        public override string Name => "bad";

        public override double Apply(SchedulerContext context) => fault switch
        {
            "nan" => double.NaN,
            "negative" => -1,
            _ => throw new InvalidOperationException("no idea"),
        };
    }

    private sealed class NamedMetric(string name) : MetricPlugin
    {
        public override string Name => name;

        public override double Apply(MetricContext context) => 0;
    }

    private sealed class Kindless : AlgorithmPlugin<int, int>
    {
        public override AlgorithmKind Kind => AlgorithmKind.Metric;

        public override string Name => "kindless";

        public override int Apply(int context) => context;
    }
}
