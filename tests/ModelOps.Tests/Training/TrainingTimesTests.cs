using ModelOps.Client;
using ModelOps.Server.Training;

namespace ModelOps.Tests.Training;

/// <summary>How long a plan says that its training takes.</summary>
public sealed class TrainingTimesTests
{
    // 1,000 tokens of 6 FLOP are learned from, 500 of 2 are measured on.
    private static readonly PlannedWork work = new(Tokens: 1000, MeasuredTokens: 500, FlopsPerToken: 6, Flops: 7000, PeakFlops: 700);

    [Fact]
    public void Of_AnEarlierJob_IsItsMedianBetweenItsFastestAndSlowestTenth()
    {
        double[] speeds = [.. Enumerable.Range(0, 11).Select(number => 10.0 * (number + 1))]; // 10 to 110 tokens per second, the median 60

        var time = TrainingTimes.Of(work, speeds.Reverse().ToArray(), "job-1");

        Assert.Equal(("job-1", 1000, 500), (time.Job, time.Tokens, time.MeasuredTokens));
        Assert.Equal(7000 / (6 * 60.0), time.Seconds, 1e-9);
        Assert.Equal(7000 / (6 * 100.0), time.Low, 1e-9);
        Assert.Equal(7000 / (6 * 20.0), time.High, 1e-9);
    }

    [Fact]
    public void Of_NoEarlierJob_IsOfTheMachinesPeakWithAWideRange()
    {
        var time = TrainingTimes.Of(work);

        Assert.Null(time.Job);
        Assert.Equal(10 / 0.4, time.Seconds, 1e-9);
        Assert.True(time.Low < time.Seconds / 1.5 && time.High > time.Seconds * 1.5);
        Assert.True(time.Low > 10, "no machine is faster than its peak");
    }
}
