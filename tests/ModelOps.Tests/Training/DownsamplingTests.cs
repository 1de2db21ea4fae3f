using ModelOps.Client;
using ModelOps.Server.Training;

namespace ModelOps.Tests.Training;

public sealed class DownsamplingTests
{
    [Fact]
    public void Reduce_RandomCurves_KeepsOrderEndsAndCount()
    {
        var random = new Random(11);
        for (var round = 0; round < 200; round++)
        {
            var points = Curve(random.Next(1, 400), _ => random.NextDouble());
            var count = random.Next(Downsampling.Least, 100);

            var kept = Downsampling.Reduce(points, count);

            Assert.Equal(Math.Min(count, points.Count), kept.Count);
            Assert.Equal((points[0], points[^1]), (kept[0], kept[^1]));
            Assert.Equal(kept.Select(point => point.Step).Distinct().Order(), kept.Select(point => point.Step));
            Assert.Subset(points.ToHashSet(), kept.ToHashSet());
        }
    }

    [Fact]
    public void Reduce_ASpikeAmongManySteps_KeepsIt()
    {
        var points = Curve(100_000, step => step == 54_321 ? 9 : 1);

        Assert.Contains(Downsampling.Reduce(points, 50), point => point.Value == 9);
    }

    [Fact]
    public void Reduce_FewerThanWanted_AreAsTheyAre()
    {
        var points = Curve(3, step => step);

        Assert.Equal(points, Downsampling.Reduce(points, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => Downsampling.Reduce(points, 2));
    }

    private static List<MetricValue> Curve(int steps, Func<int, double> value) =>
        [.. Enumerable.Range(0, steps).Select(step => new MetricValue(step, DateTimeOffset.UnixEpoch, value(step)))];
}
