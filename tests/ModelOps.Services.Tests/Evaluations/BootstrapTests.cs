using ModelOps.Training.Evaluations;

namespace ModelOps.Services.Tests.Evaluations;

public class BootstrapTests
{
    [Fact]
    public void Mean_IsWeighted() => Assert.Equal(2.5, Bootstrap.Mean([new(1, 1), new(3, 3)]));

    [Fact]
    public void Of_TheSameSeed_IsTheSame_AndContainsTheMean()
    {
        var rows = Normal(200, seed: 1);

        var interval = Bootstrap.Of(rows, Same, seed: 3);

        Assert.Equal(interval, Bootstrap.Of(rows, Same, seed: 3));
        Assert.NotEqual(interval, Bootstrap.Of(rows, Same, seed: 4));
        Assert.InRange(Bootstrap.Mean(rows), interval.Low, interval.High);
    }

    [Fact]
    public void Of_NormalRows_IsAsWideAsTheNormalInterval()
    {
        var rows = Normal(400, seed: 2);

        var (low, high) = Bootstrap.Of(rows, Same, seed: 3);

        var deviation = Math.Sqrt(rows.Sum(row => Math.Pow(row.Value - Bootstrap.Mean(rows), 2)) / rows.Length);
        Assert.Equal(2 * 1.96 * deviation / Math.Sqrt(rows.Length), high - low, 0.03 * deviation);
    }

    [Fact]
    public void Of_ManySamples_ContainsTheTruthAboutNinetyFiveTimesInAHundred()
    {
        var contained = Enumerable.Range(0, 100).Count(sample => Bootstrap.Of(Normal(60, sample), Same, seed: 1) is var (low, high) && low <= 0 && 0 <= high);

        Assert.InRange(contained, 88, 99);
    }

    [Fact]
    public void Of_EqualRows_HasNoWidth() => Assert.Equal(new Interval(0.5, 0.5), Bootstrap.Of([.. Enumerable.Repeat(new RowValue(0.5), 9)], Same, seed: 1));

    [Fact]
    public void Of_AMonotoneTransform_IsTheTransformedInterval()
    {
        var rows = Normal(50, seed: 5);
        var (low, high) = Bootstrap.Of(rows, Same, seed: 1);

        var transformed = Bootstrap.Of(rows, mean => (2 * mean) + 1, seed: 1);

        Assert.Equal((2 * low) + 1, transformed.Low, 1e-12);
        Assert.Equal((2 * high) + 1, transformed.High, 1e-12);
    }

    [Fact]
    public void OfDifference_RowsThatMoveTogether_IsNarrowerThanEitherSide()
    {
        var @base = Normal(100, seed: 6);
        RowValue[] candidate = [.. @base.Select(row => row with { Value = row.Value + 0.1 })];

        var (low, high) = Bootstrap.OfDifference(candidate, @base, Same, seed: 1);

        Assert.Equal(0.1, low, 1e-9);
        Assert.Equal(0.1, high, 1e-9);
        Assert.Throws<ArgumentException>(() => Bootstrap.OfDifference(candidate[1..], @base, Same, seed: 1));
    }

    private static double Same(double mean) => mean;

    private static RowValue[] Normal(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => new RowValue(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    }
}
