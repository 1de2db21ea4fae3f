using ModelOps.Training.Loop;

namespace ModelOps.Services.Tests.Training;

public class OptimizationOptionsTests
{
    [Fact]
    public void LearningRateAt_EachPhase_FollowsWarmupAndCosine()
    {
        var options = new OptimizationOptions { Steps = 110, LearningRate = 0.4, WarmupRatio = 10.0 / 110 };

        Assert.Equal(0.04, options.LearningRateAt(0), 1e-12);
        Assert.Equal(0.4, options.LearningRateAt(9), 1e-12);
        Assert.Equal(0.4, options.LearningRateAt(10), 1e-12);
        Assert.Equal(0.2, options.LearningRateAt(60), 1e-12); // halfway down
        Assert.InRange(options.LearningRateAt(109), 1e-6, 1e-3);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(1, 0.99)]
    [InlineData(3, 0.5)]
    public void LearningRateAt_FewSteps_IsAlwaysAboveZeroAndAtMostThePeak(int steps, double warmup)
    {
        var options = new OptimizationOptions { Steps = steps, LearningRate = 0.4, WarmupRatio = warmup };

        Assert.All(Enumerable.Range(0, steps), step => Assert.InRange(options.LearningRateAt(step), 1e-9, 0.4));
    }
}
