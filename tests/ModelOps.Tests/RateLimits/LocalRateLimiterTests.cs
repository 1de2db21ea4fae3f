using ModelOps.Registry;
using ModelOps.Server.RateLimits;

namespace ModelOps.Tests.RateLimits;

public sealed class LocalRateLimiterTests
{
    private static readonly RateLimitOptions options = new()
    {
        Anonymous = new() { PerSecond = 1, Burst = 5 },
        Viewer = new() { PerSecond = 1, Burst = 1000 },
    };

    private readonly ManualTime time = new();

    [Fact]
    public async Task Take_FromManyThreads_AllowsExactlyTheBurst()
    {
        var limiter = new LocalRateLimiter(options, time);
        var allowed = 0;
        await Parallel.ForAsync(0, 8, TestContext.Current.CancellationToken, async (_, cancel) =>
        {
            for (var i = 0; i < 500; i++)
                if ((await limiter.TakeAsync(new(Roles.Viewer, "key_1"), cancel)).Allowed) Interlocked.Increment(ref allowed);
        });
        Assert.Equal(1000, allowed);
    }

    [Fact]
    public async Task Take_OfAnotherPrincipal_HasABucketOfItsOwn()
    {
        var limiter = new LocalRateLimiter(options, time);
        Assert.Equal(5, await AllowedOf(limiter, new(null, "192.0.2.1"), 10));
        Assert.Equal(5, await AllowedOf(limiter, new(null, "192.0.2.2"), 10));
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(2, await AllowedOf(limiter, new(null, "192.0.2.1"), 10));
    }

    [Fact]
    public async Task Take_OfAMillionAddresses_KeepsABoundedNumberOfBuckets()
    {
        var limiter = new LocalRateLimiter(options, time);
        var most = 0;
        for (var address = 0; address < 1_000_000; address++)
        {
            await limiter.TakeAsync(new(null, $"2001:db8:{address >> 16:x}:{address & 0xffff:x}::/64"), CancellationToken.None);
            most = Math.Max(most, limiter.BucketsOf(null));
        }
        Assert.InRange(most, LocalRateLimiter.DefaultMostBuckets, LocalRateLimiter.DefaultMostBuckets + 1);
        Assert.True((await limiter.TakeAsync(new(Roles.Viewer, "key_1"), CancellationToken.None)).Allowed);

        time.Advance(TimeSpan.FromSeconds(10)); // all are full again
        await limiter.TakeAsync(new(null, "192.0.2.1"), CancellationToken.None);
        Assert.Equal(1, limiter.BucketsOf(null));
    }

    [Fact]
    public async Task Take_OfNewcomersToACrowd_SharesOneBucketAndLeavesTheOthersTheirs()
    {
        var limiter = new LocalRateLimiter(options, time, mostBuckets: 2);
        Assert.Equal(3, await AllowedOf(limiter, new(null, "a"), 3));
        Assert.Equal(1, await AllowedOf(limiter, new(null, "b"), 1));
        Assert.Equal(5, await AllowedOf(limiter, new(null, "c"), 3) + await AllowedOf(limiter, new(null, "d"), 9));
        Assert.Equal(2, await AllowedOf(limiter, new(null, "a"), 9));
        Assert.Equal(4, await AllowedOf(limiter, new(null, "b"), 9));

        time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(5, await AllowedOf(limiter, new(null, "d"), 9)); // the crowd is gone
    }

    [Fact]
    public async Task Take_FromManyThreadsWhileTheClockRuns_AllowsNoMoreThanTheBurstAndWhatCameBack()
    {
        // A sweep is due at each change of the clock, and drops the bucket whenever the threads leave it time to be full.
        var limiter = new LocalRateLimiter(new() { Anonymous = new() { PerSecond = 1, Burst = 5 } }, time, mostBuckets: 1);
        var (allowed, seconds) = (0, 0);
        await Parallel.ForAsync(0, 4, TestContext.Current.CancellationToken, async (thread, cancel) =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                if (thread == 0 && i % 20 == 0)
                {
                    time.Advance(TimeSpan.FromSeconds(1));
                    seconds++;
                }
                if ((await limiter.TakeAsync(new(null, "a"), cancel)).Allowed) Interlocked.Increment(ref allowed);
            }
        });
        Assert.InRange(allowed, seconds, 5 + seconds);
    }

    private static async Task<int> AllowedOf(LocalRateLimiter limiter, RatePartition partition, int times)
    {
        var allowed = 0;
        for (var i = 0; i < times; i++)
            if ((await limiter.TakeAsync(partition, TestContext.Current.CancellationToken)).Allowed) allowed++;
        return allowed;
    }
}
