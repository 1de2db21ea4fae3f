namespace ModelOps.Temporal.Tests.Hosting;

public sealed class SteadyTimeTests
{
    [Fact]
    public void GetUtcNow_ClockSetForwardAndBack_GoesOnAsTimePasses()
    {
        var clock = new SettableClock();
        var steady = new SteadyTime(clock);
        var start = steady.GetUtcNow();
        foreach (var hours in (int[])[1, -2, 5])
        {
            clock.Now = clock.Now.AddHours(hours);
            clock.Passed++;
            Assert.Equal(start.AddSeconds(clock.Passed), steady.GetUtcNow());
        }
    }

    private sealed class SettableClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public long Passed { get; set; }

        public override long TimestampFrequency => 1;

        public override DateTimeOffset GetUtcNow() => Now;

        public override long GetTimestamp() => Passed;
    }
}
