using ModelOps.Server.Workers;

namespace ModelOps.Tests.Workers;

public sealed class WorkerScalingTests
{
    private static readonly DateTimeOffset now = new(2030, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly WorkersOptions options = new()
    {
        IdleStop = TimeSpan.FromSeconds(60),
        FirstPause = TimeSpan.FromSeconds(1),
        LongestPause = TimeSpan.FromSeconds(10),
        HealthyAfter = TimeSpan.FromSeconds(30),
    };

    /// <param name="processes">A letter each: s starts, b runs something, i is idle and may stop, f has been idle for a moment only.</param>
    /// <param name="failedAgo">Seconds since the last death.</param>
    [Theory]
    // from the backlog, between min and max
    [InlineData(0, 3, 0, "", 0, 0, 0, "")]
    [InlineData(0, 3, 1, "", 0, 0, 1, "")]
    [InlineData(0, 3, 9, "", 0, 0, 3, "")]
    [InlineData(2, 3, 0, "", 0, 0, 2, "")]
    [InlineData(0, 3, 1, "b", 0, 0, 1, "")]
    [InlineData(0, 3, 1, "bbb", 0, 0, 0, "")]
    [InlineData(0, 3, 1, "f", 0, 0, 0, "")]
    [InlineData(0, 3, 2, "bf", 0, 0, 1, "")]
    [InlineData(0, 3, 1, "s", 0, 0, 0, "")] // it is for the one that waits
    [InlineData(0, 3, 2, "bs", 0, 0, 1, "")]
    [InlineData(0, 3, 0, "si", 0, 0, 0, "2")]
    // idle ones go, the longest idle first, never below min, never while tasks wait for them
    [InlineData(0, 3, 0, "i", 0, 0, 0, "1")]
    [InlineData(0, 3, 0, "f", 0, 0, 0, "")]
    [InlineData(1, 3, 0, "i", 0, 0, 0, "")]
    [InlineData(1, 3, 0, "iif", 0, 0, 0, "1 2")]
    [InlineData(2, 3, 0, "iii", 0, 0, 0, "1")]
    [InlineData(0, 3, 1, "ii", 0, 0, 0, "1")]
    [InlineData(0, 3, 0, "bib", 0, 0, 0, "2")]
    [InlineData(0, 1, 0, "bb", 0, 0, 0, "")] // more than max: what runs something is let run
    // after deaths: one at a time, when the pause is over
    [InlineData(0, 3, 3, "", 1, 0.9, 0, "")]
    [InlineData(0, 3, 3, "", 1, 1, 1, "")]
    [InlineData(0, 3, 3, "", 3, 3.9, 0, "")]
    [InlineData(0, 3, 3, "", 3, 4, 1, "")]
    [InlineData(0, 3, 3, "", 100, 9.9, 0, "")]
    [InlineData(0, 3, 3, "", 100, 10, 1, "")]
    [InlineData(0, 3, 0, "", 3, 0, 0, "")]
    public void Decide_OfARole_StartsAndStops(int min, int max, int waiting, string processes, int failures, double failedAgo, int start, string stop)
    {
        var snapshots = processes.Select((kind, i) => new ProcessSnapshot(
            i + 1, kind == 'b', kind is 'i' or 'f', now - (kind == 'i' ? options.IdleStop + TimeSpan.FromSeconds(10 - i) : TimeSpan.FromSeconds(1))));
        var snapshot = new RoleSnapshot(waiting, [.. snapshots], failures, now - TimeSpan.FromSeconds(failedAgo));

        var decision = WorkerScaling.Decide(new RoleOptions { Min = min, Max = max }, options, snapshot, now);

        Assert.Equal((start, stop), (decision.Start, string.Join(' ', decision.Stop)));
        var pending = failures > 0 && start == 0 && waiting > 0;
        Assert.Equal(pending ? snapshot.LastFailure + WorkerScaling.Pause(failures, options) : null, decision.RetryAt);
    }

    [Fact]
    public void Pause_DeathAfterDeath_DoublesUpToTheLongest() =>
        Assert.Equal([1, 2, 4, 8, 10, 10, 10], new[] { 1, 2, 3, 4, 5, 6, int.MaxValue }.Select(failures => WorkerScaling.Pause(failures, options).TotalSeconds));

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(4, 29.9, 5)]
    [InlineData(4, 30, 1)]
    public void FailuresAfter_AHealthyLife_BeginsAgain(int failures, double lived, int after) =>
        Assert.Equal(after, WorkerScaling.FailuresAfter(failures, TimeSpan.FromSeconds(lived), options));
}
