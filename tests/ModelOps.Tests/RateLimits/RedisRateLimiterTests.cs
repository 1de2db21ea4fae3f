using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Registry;
using ModelOps.Server.RateLimits;
using ModelOps.Server.Redis;
using ModelOps.Tests.EndToEnd;
using StackExchange.Redis;

namespace ModelOps.Tests.RateLimits;

/// <summary>Buckets on a real Redis. A token comes back every 1000 s, so that none does while a test runs.</summary>
public sealed class RedisRateLimiterTests : IAsyncLifetime
{
    private const int Burst = 40;
    private const long Interval = 1_000_000_000;
    private static readonly RatePartition engineer = new(Roles.Engineer, "key_1");
    private readonly ServiceProvider services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly List<RedisConnection> connections = [];
    private RedisServer redis = null!;

    public async ValueTask InitializeAsync() => redis = await RedisServer.StartAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in connections) await connection.DisposeAsync();
        if (redis is not null) await redis.DisposeAsync();
        await services.DisposeAsync();
    }

    [Fact(Timeout = 120_000)]
    public async Task Take_FromTwoServersAtOnce_AllowsExactlyOneBurst()
    {
        var cancel = TestContext.Current.CancellationToken;
        var first = Limiter();
        var second = Limiter();
        var decisions = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => (i % 2 == 0 ? first : second).TakeAsync(engineer, cancel).AsTask()));
        var allowed = decisions.Where(decision => decision.Allowed).ToList();
        Assert.Equal(Enumerable.Range(0, Burst).Select(i => (long)i), allowed.Select(decision => decision.Remaining).Order());
        Assert.All(decisions.Where(decision => !decision.Allowed), decision =>
        {
            Assert.Equal(0, decision.Remaining);
            Assert.InRange(decision.RetryAfter, TimeSpan.FromMicroseconds(1), TimeSpan.FromMicroseconds(Interval));
        });
    }

    [Fact(Timeout = 120_000)]
    public async Task Take_FirstOfABucket_DecidesAsTheLocalArithmeticAndExpires()
    {
        var cancel = TestContext.Current.CancellationToken;
        var limiter = Limiter();
        var (expected, _) = new TokenBucket(Interval, Burst).Take(0, 0);
        Assert.Equal(expected, await limiter.TakeAsync(engineer, cancel));
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        var left = await connection.GetDatabase().KeyTimeToLiveAsync("modelops:rate-limit:engineer:key_1");
        Assert.InRange(left!.Value, TimeSpan.FromMilliseconds(1), TimeSpan.FromMicroseconds(Interval)); // no longer than until it is full
    }

    [Theory(Timeout = 120_000)]
    [InlineData("1", true)] // long ago
    [InlineData("9000000000000000", false)] // as after the clock was set back by centuries
    public async Task Take_OfAnyStoredTime_DecidesAsTheLocalArithmetic(string fullAt, bool allowed)
    {
        var cancel = TestContext.Current.CancellationToken;
        var limiter = Limiter();
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        await connection.GetDatabase().StringSetAsync("modelops:rate-limit:engineer:key_1", fullAt);
        var (expected, _) = new TokenBucket(Interval, Burst).Take(allowed ? 0 : long.MaxValue, now: 0);
        Assert.Equal(allowed, expected.Allowed);
        Assert.Equal(expected, await limiter.TakeAsync(engineer, cancel));
    }

    [Fact(Timeout = 120_000)]
    public async Task Take_EmptyBucket_HasATokenAgainWhenItSaid()
    {
        var cancel = TestContext.Current.CancellationToken;
        var limiter = Limiter(new() { PerSecond = 2, Burst = 1 });
        Assert.True((await limiter.TakeAsync(engineer, cancel)).Allowed);
        RateDecision refused;
        do
        {
            refused = await limiter.TakeAsync(engineer, cancel); // on a slow machine the token may be back already
        }
        while (refused.Allowed);
        await Task.Delay(refused.RetryAfter + TimeSpan.FromMilliseconds(10), cancel); // by Redis' clock: a timer of this process may fire a moment before
        Assert.True((await limiter.TakeAsync(engineer, cancel)).Allowed);
    }

    [Fact(Timeout = 120_000)]
    public async Task Take_RedisKilledAndStartedAgain_LimitsByItselfMeanwhile()
    {
        var cancel = TestContext.Current.CancellationToken;
        var log = new Lines();
        var limiter = Limiter(log: log);
        var away = 0L;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Scope == services.GetRequiredService<IMeterFactory>() && instrument.Name == "modelops.rate_limit.redis_away")
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => Interlocked.Add(ref away, value));
        listener.Start();

        Assert.Equal(Burst, await AllowedAsync(limiter, Burst + 5, cancel));
        await redis.KillAsync();
        Assert.Equal(Burst, await AllowedAsync(limiter, Burst + 5, cancel)); // its own buckets, which were full
        Assert.Equal(Burst + 5, Interlocked.Read(ref away));
        Assert.Single(log.Of(LogLevel.Warning));

        await redis.RestartAsync(cancel);
        await Eventually.HoldsAsync(async () => (await limiter.TakeAsync(engineer, cancel)).Allowed, cancel); // Redis's, which is new
        Assert.Single(log.Of(LogLevel.Information));
        Assert.Equal(Burst - 1, await AllowedAsync(limiter, Burst + 5, cancel));
    }

    [Fact(Timeout = 120_000)]
    public async Task Take_RedisHangs_DecidesAfterTheTimeoutAndComesBack()
    {
        var cancel = TestContext.Current.CancellationToken;
        var log = new Lines();
        var limiter = Limiter(log: log, timeout: TimeSpan.FromMilliseconds(200));
        await Eventually.HoldsAsync(async () => (await limiter.TakeAsync(engineer, cancel)).Remaining < Burst, cancel);
        await redis.HangAsync(cancel);
        await Eventually.HoldsAsync(
            async () =>
            {
                await limiter.TakeAsync(engineer, cancel);
                return log.Of(LogLevel.Warning).Count > log.Of(LogLevel.Information).Count;
            },
            cancel);
        await redis.ContinueAsync(cancel);
        await Eventually.HoldsAsync(
            async () =>
            {
                await limiter.TakeAsync(engineer, cancel);
                return log.Of(LogLevel.Warning).Count == log.Of(LogLevel.Information).Count;
            },
            cancel);
    }

    [Fact(Timeout = 120_000)]
    public async Task Take_NoRedisFromTheStart_LimitsByItself()
    {
        var cancel = TestContext.Current.CancellationToken;
        await redis.KillAsync();
        var limiter = Limiter();
        Assert.Equal(Burst, await AllowedAsync(limiter, Burst + 5, cancel));
    }

    private RedisRateLimiter Limiter(RateLimit? limit = null, Lines? log = null, TimeSpan? timeout = null)
    {
        var options = new RateLimitOptions
        {
            Engineer = limit ?? new() { PerSecond = 0.001, Burst = Burst },
        };
        var connection = new RedisConnection(new RedisOptions
        {
            Connection = redis.ConnectionString,
            Timeout = timeout ?? TimeSpan.FromSeconds(60), // a slow machine is no Redis that is away
        });
        connections.Add(connection);
        return new(
            options, connection, new LocalRateLimiter(options, TimeProvider.System), new RateLimitMetrics(services.GetRequiredService<IMeterFactory>()),
            TimeProvider.System, log ?? (ILogger<RedisRateLimiter>)NullLogger<RedisRateLimiter>.Instance);
    }

    private static async Task<int> AllowedAsync(RedisRateLimiter limiter, int times, CancellationToken cancel)
    {
        var allowed = 0;
        for (var i = 0; i < times; i++)
            if ((await limiter.TakeAsync(engineer, cancel)).Allowed) allowed++;
        return allowed;
    }

    private sealed class Lines : ILogger<RedisRateLimiter>
    {
        private readonly List<(LogLevel Level, string Text)> lines = [];

        public IReadOnlyList<string> Of(LogLevel level)
        {
            lock (lines) return [.. lines.Where(line => line.Level == level).Select(line => line.Text)];
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (lines) lines.Add((logLevel, formatter(state, exception)));
        }
    }
}
