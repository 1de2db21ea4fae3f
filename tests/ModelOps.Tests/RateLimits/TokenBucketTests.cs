using ModelOps.Server.RateLimits;

namespace ModelOps.Tests.RateLimits;

/// <summary>The bucket's arithmetic, exact to the microsecond.</summary>
public sealed class TokenBucketTests
{
    [Theory]
    [InlineData(1, 1, 1_000_000)]
    [InlineData(50, 500, 20_000)]
    [InlineData(3, 7, 333_333)]
    [InlineData(0.001, 40, 1_000_000_000)]
    [InlineData(1_000_000, 1_000_000, 1)]
    public void Take_FullBucket_GivesTheBurstAndNotOneMore(double perSecond, int burst, long interval)
    {
        var bucket = TokenBucket.Of(new RateLimit { PerSecond = perSecond, Burst = burst });
        Assert.Equal(interval, bucket.Interval);
        const long Now = 1_234_567;
        var fullAt = 0L;
        for (var taken = 1; taken <= burst; taken++)
        {
            (var decision, fullAt) = bucket.Take(fullAt, Now);
            Assert.Equal(
                new RateDecision(true, burst - taken, TimeSpan.Zero, TimeSpan.FromMicroseconds(taken * interval)), decision);
        }
        var (refused, after) = bucket.Take(fullAt, Now);
        Assert.Equal(new RateDecision(false, 0, TimeSpan.FromMicroseconds(interval), TimeSpan.FromMicroseconds(burst * interval)), refused);
        Assert.Equal(fullAt, after);
    }

    [Fact]
    public void Take_EmptyBucket_HasATokenAgainAtTheVeryMicrosecond()
    {
        var bucket = new TokenBucket(Interval: 250, Burst: 4);
        var fullAt = 0L;
        for (var taken = 0; taken < 4; taken++) (_, fullAt) = bucket.Take(fullAt, 10);
        var (tooEarly, unchanged) = bucket.Take(fullAt, 10 + 249);
        Assert.Equal((false, TimeSpan.FromMicroseconds(1)), (tooEarly.Allowed, tooEarly.RetryAfter));
        var (inTime, after) = bucket.Take(unchanged, 10 + 250);
        Assert.True(inTime.Allowed);
        Assert.False(bucket.Take(after, 10 + 250).Decision.Allowed);
    }

    [Fact]
    public void Take_ClockSetBackByADay_WaitsNoLongerThanForOneToken()
    {
        var bucket = new TokenBucket(Interval: 1000, Burst: 3);
        const long Day = 24L * 3600 * 1_000_000;
        var (refused, after) = bucket.Take(fullAt: Day, now: 5);
        Assert.Equal((false, TimeSpan.FromMicroseconds(1000)), (refused.Allowed, refused.RetryAfter));
        Assert.True(bucket.Take(after, 5 + 1000).Decision.Allowed);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Take_AnyTimes_DecidesAsABucketThatIsFilledDropByDrop(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            var bucket = new TokenBucket(random.Next(1, 1000), random.Next(1, 20));
            var oracle = new FilledBucket(bucket.Interval, bucket.Burst);
            var (now, fullAt) = (random.NextInt64(1_000_000), 0L);
            for (var step = 0; step < 300; step++)
            {
                var passed = random.Next(3) == 0 ? 0 : random.NextInt64(bucket.Interval * 3);
                now += passed;
                oracle.Fill(passed);
                (var decision, fullAt) = bucket.Take(fullAt, now);
                var (allowed, wait) = oracle.Take();
                Assert.Equal((allowed, oracle.Tokens, wait), (decision.Allowed, decision.Remaining, (long)decision.RetryAfter.TotalMicroseconds));
            }
        }
    }

    /// <summary>The plain form: a token is as many drops as its interval has microseconds, and each microsecond one drop falls in.</summary>
    private sealed class FilledBucket(long interval, int burst)
    {
        private long drops = interval * burst;

        public long Tokens => drops / interval;

        public void Fill(long microseconds) => drops = Math.Min(drops + microseconds, interval * burst);

        public (bool Allowed, long Wait) Take()
        {
            if (drops < interval) return (false, interval - drops);
            drops -= interval;
            return (true, 0);
        }
    }
}
