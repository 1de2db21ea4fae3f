using ModelOps.Training;
using ModelOps.Training.Loop;
using ModelOps.Training.Pretraining;

namespace ModelOps.Services.Tests.Training;

public sealed class PretrainingRunTests : IDisposable
{
    private const int Steps = 12;
    private const int Broken = 7;
    private readonly TempFolder temp = new();

    public void Dispose() => temp.Dispose();

    [Fact]
    public void Run_BrokenOffAndRunAgain_EndsAsAnUndisturbedRunDoes()
    {
        var whole = Run("whole");
        var broken = new Losses { BreakAfter = Broken };
        Assert.Throws<IOException>(() => Run("broken", broken));
        Assert.False(File.Exists(Weights("broken")));

        var rest = Run("broken");

        Assert.Equal(Steps, whole.Count);
        Assert.Equal(whole.Take(Broken), broken.Values);
        Assert.Equal(whole.Skip(Broken - 1), rest); // the step that broke was not saved
        Assert.Equal(File.ReadAllBytes(Weights("whole")), File.ReadAllBytes(Weights("broken")));
    }

    [Fact]
    public void Run_CheckpointsOfOtherOptions_AreRefused()
    {
        Run("run");

        var error = Assert.Throws<TrainingFailedException>(() => Run("run", new Losses(), seed: 6));

        Assert.Equal(TrainingFailure.OtherCheckpoints, error.Failure);
        Assert.Contains(temp["run-checkpoints"], error.Message, StringComparison.Ordinal);
    }

    private string Weights(string name) => temp[$"{name}.safetensors"];

    private List<double> Run(string name)
    {
        var losses = new Losses();
        Run(name, losses);
        return losses.Values;
    }

    private void Run(string name, Losses losses, int seed = 5)
    {
        var random = new Random(1);
        var documents = Enumerable.Range(0, 60).Select(_ => Enumerable.Range(0, random.Next(5, 30)).Select(_ => random.Next(3, 300)).ToArray()).ToList();
        PretrainingRun.Run(
            TestModels.TinyConfig,
            documents[10..],
            documents[..10],
            new()
            {
                Optimization = new OptimizationOptions { Steps = Steps, LearningRate = 0.01 },
                BatchSize = 2,
                SequenceLength = 64,
                Seed = seed,
                Threads = 1,
                CheckpointInterval = TimeSpan.Zero,
            },
            temp[$"{name}-checkpoints"],
            Weights(name),
            new StoppedTime(),
            losses,
            TestContext.Current.CancellationToken);
    }

    /// <summary>Saving takes no time, so every step is saved.</summary>
    private sealed class StoppedTime : TimeProvider
    {
        public override long GetTimestamp() => 0;
    }

    private sealed class Losses : IProgress<TrainingProgress>
    {
        public int BreakAfter { get; init; } = int.MaxValue;

        public List<double> Values { get; } = [];

        public void Report(TrainingProgress value)
        {
            if (value is not { Stage: TrainingStages.Train, Message: null }) return;
            Values.Add(value.Metrics[TrainingMetrics.Loss]);
            if (Values.Count == BreakAfter) throw new IOException("the power is gone");
        }
    }
}
