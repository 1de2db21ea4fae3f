using ModelOps.Models;
using ModelOps.Services.Tests.Models;
using ModelOps.Training;
using ModelOps.Training.Checkpoints;
using ModelOps.Training.Loop;
using TorchSharp;

namespace ModelOps.Services.Tests.Training;

public class TrainingLoopTests
{
    private static readonly OptimizationOptions options = new() { Steps = 30, LearningRate = 0.01 };

    [Fact]
    public void Run_RepeatedBatch_LearnsIt()
    {
        using var model = Pretrainable();
        var losses = new Losses();

        var result = new TrainingLoop(model, options, TimeProvider.System, Step(model)).Run(Begin, losses, TestContext.Current.CancellationToken);

        Assert.InRange(losses.Values[0], 5, 7); // a fresh model guesses among 384 tokens: ln 384 = 5.95
        Assert.InRange(losses.Values[^1], 0, 1);
        Assert.Equal((30, 30 * 8), (result.Steps, result.Tokens));
        Assert.Equal(30, losses.Values.Count);
    }

    [Fact]
    public void Run_KnownGradient_MovesParametersAsScalarAdamW()
    {
        using var model = Pretrainable();
        var settings = new OptimizationOptions { Steps = 4, LearningRate = 0.05, WeightDecay = 0.1, Beta2 = 0.95, ClipNorm = 1e9 };
        var matrix = model.TrainableParameters.First(parameter => parameter.dim() == 2);
        var vector = model.TrainableParameters.First(parameter => parameter.dim() == 1);
        var expected = (Matrix: (double)matrix.data<float>()[0], Vector: (double)vector.data<float>()[0]);
        var (mean, square) = (0.0, 0.0);
        for (var step = 1; step <= settings.Steps; step++)
        {
            var gradient = 3.0 * step;
            mean = 0.9 * mean + 0.1 * gradient;
            square = 0.95 * square + 0.05 * gradient * gradient;
            var rate = settings.LearningRateAt(step - 1);
            var move = rate * (mean / (1 - Math.Pow(0.9, step))) / (Math.Sqrt(square / (1 - Math.Pow(0.95, step))) + 1e-8);
            expected = (expected.Matrix * (1 - rate * 0.1) - move, expected.Vector - move); // vectors do not decay
        }

        new TrainingLoop(model, settings, TimeProvider.System, step => One((matrix.sum() + vector.sum()) * (3 * (step + 1)), 1))
            .Run(Begin, null, TestContext.Current.CancellationToken);

        Assert.Equal(expected.Matrix, matrix.data<float>()[0], 1e-5);
        Assert.Equal(expected.Vector, vector.data<float>()[0], 1e-5);
    }

    [Fact]
    public void Run_SameSeed_GivesSameLossesToTheLastBit()
    {
        Assert.Equal(Run(), Run());

        static IReadOnlyList<double> Run()
        {
            using var model = Pretrainable();
            var losses = new Losses();
            new TrainingLoop(model, options, TimeProvider.System, Step(model)).Run(Begin, losses, TestContext.Current.CancellationToken);
            return losses.Values;
        }
    }

    [Fact]
    public async Task Run_WhileFinalizersRun_GivesSameLosses()
    {
        var calm = Run();
        await using var pressure = new FinalizerPressure();

        Assert.Equal(calm, Run());

        static List<double> Run()
        {
            using var model = Pretrainable();
            model.AttachLora(new LoraOptions { Rank = 4, Dropout = 0.1 }, seed: 1);
            var losses = new Losses();
            new TrainingLoop(model, options with { Steps = 100, WeightDecay = 0.1 }, TimeProvider.System, Step(model))
                .Run(Begin, losses, TestContext.Current.CancellationToken);
            return losses.Values;
        }
    }

    [Fact]
    public void Run_LossThatIsNoNumber_StopsWithAdvice()
    {
        using var model = Pretrainable();

        var error = Assert.Throws<TrainingFailedException>(() => new TrainingLoop(
            model, options, TimeProvider.System, step => One(Loss(model) * (step == 2 ? float.NaN : 1), 8)).Run(Begin, null, TestContext.Current.CancellationToken));

        Assert.Equal(TrainingFailure.Diverged, error.Failure);
        Assert.Contains("step 3 of 30", error.Message, StringComparison.Ordinal);
        Assert.Contains("learning rate of 0.0025", error.Message, StringComparison.Ordinal);
        Assert.All(model.TrainableParameters, parameter => Assert.True(parameter.isfinite().all().item<bool>()));
    }

    [Theory]
    [InlineData(25)] // it left its course
    [InlineData(1)] // it never had one
    public void Run_LossThatStaysFarAbove_StopsWithAdvice(int from)
    {
        using var model = Pretrainable();

        var error = Assert.Throws<TrainingFailedException>(() => new TrainingLoop(
            model, options with { Steps = 60 }, TimeProvider.System, step => One(Loss(model) + (step >= from ? 100 : 0), 8)).Run(Begin, null, TestContext.Current.CancellationToken));

        Assert.Equal(TrainingFailure.Diverged, error.Failure);
        Assert.Contains("training left its course at step", error.Message, StringComparison.Ordinal);
        Assert.Contains("Try a learning rate of 0.0025 or less", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_Cancelled_StopsBeforeTheNextStep()
    {
        using var model = Pretrainable();
        using var cancellation = new CancellationTokenSource();
        var last = -1;

        Assert.Throws<OperationCanceledException>(() => new TrainingLoop(
            model,
            options,
            TimeProvider.System,
            step =>
            {
                last = step;
                if (step == 4) cancellation.Cancel();
                return One(Loss(model), 8);
            }).Run(Begin, null, cancellation.Token));

        Assert.Equal(4, last);
    }

    [Fact]
    public void Run_TwoHundredSteps_KeepsNoTensor()
    {
        using var model = Pretrainable();
        model.AttachLora(new LoraOptions { Rank = 2 }, seed: 1);
        var live = new List<long>();

        new TrainingLoop(
            model,
            options with { Steps = 200 },
            TimeProvider.System,
            step =>
            {
                live.Add(DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
                return One(Loss(model), 8);
            }).Run(Begin, null, TestContext.Current.CancellationToken);

        Assert.Equal(live[10], live[^1]);
    }

    private static CausalLanguageModel Pretrainable() => CausalLanguageModel.Initialize(TestModels.TinyConfig, seed: 3);

    private static Func<int, IEnumerable<StepLoss>> Step(CausalLanguageModel model) => _ => One(Loss(model), 8);

    private static StepLoss[] One(torch.Tensor loss, int tokens) => [new(loss, tokens)];

    private static RunState Begin() => new() { Steps = 0, Tokens = 0, LossBefore = 10 };

    private static torch.Tensor Loss(CausalLanguageModel model) =>
        model.Loss(torch.tensor([5L, 6, 7, 8, 9, 10, 11, 12], 1, 8), torch.tensor([6L, 7, 8, 9, 10, 11, 12, 13], 1, 8));

    private sealed class Losses : IProgress<TrainingProgress>
    {
        public List<double> Values { get; } = [];

        public void Report(TrainingProgress value)
        {
            if (value.Metrics.TryGetValue(TrainingMetrics.Loss, out var loss)) Values.Add(loss);
        }
    }
}
