using ModelOps.Server.Redis;
using StackExchange.Redis;

namespace ModelOps.Server.RateLimits;

/// <summary>
/// Buckets that several servers share on Redis, by Redis's clock. While Redis does not answer, this server's own buckets decide: a limit
/// per server is better than an outage, and better than none. One request a second then tries Redis again.
/// </summary>
public sealed partial class RedisRateLimiter(
    RateLimitOptions options, RedisConnection redis, LocalRateLimiter own, RateLimitMetrics metrics, TimeProvider time, ILogger<RedisRateLimiter> logger)
    : IRateLimiter
{
    // The same arithmetic as TokenBucket.Take. It answers how long until there is a token, and how long until the bucket is full.
    private const string Script = """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local interval = tonumber(ARGV[1])
        local capacity = tonumber(ARGV[2])
        local full_at = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), now + capacity)
        local wait = full_at + interval - capacity - now
        if wait <= 0 then
          full_at = full_at + interval
          redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
        end
        return {wait, full_at - now}
        """;

    private const string KeyPrefix = "modelops:rate-limit:";
    private static readonly TimeSpan pause = TimeSpan.FromSeconds(1);
    private long triedAt; // timestamp of the last try while Redis is down; 0 while it answers

    public async ValueTask<RateDecision> TakeAsync(RatePartition partition, CancellationToken cancellationToken)
    {
        if (MayTry())
        {
            try
            {
                var decision = await TakeFromRedisAsync(partition).WaitAsync(redis.Timeout, time, cancellationToken);
                if (Interlocked.Exchange(ref triedAt, 0) != 0) Log.Back(logger);
                return decision;
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                if (Interlocked.Exchange(ref triedAt, Math.Max(1, time.GetTimestamp())) == 0) Log.Away(logger, e.Message);
            }
        }
        metrics.RedisAway();
        return await own.TakeAsync(partition, cancellationToken);
    }

    private async Task<RateDecision> TakeFromRedisAsync(RatePartition partition)
    {
        var bucket = TokenBucket.Of(options.Of(partition.Role));
        var database = (await redis.Multiplexer).GetDatabase();
        var answer = (long[])(await database.ScriptEvaluateAsync(
            Script, [$"{KeyPrefix}{partition.Policy}:{partition.Id}"], [bucket.Interval, bucket.Capacity]))!;
        return bucket.Decide(answer[0], answer[1]);
    }

    /// <summary>Always while Redis answers, else for one request a second: the others need not wait for it too.</summary>
    private bool MayTry()
    {
        var last = Volatile.Read(ref triedAt);
        if (last == 0) return true;
        return time.GetElapsedTime(last) >= pause && Interlocked.CompareExchange(ref triedAt, Math.Max(1, time.GetTimestamp()), last) == last;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "rate limits: Redis does not answer ({Reason}); until it does, this server limits on its own")]
        public static partial void Away(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Information, "rate limits: Redis answers again; its buckets decide")]
        public static partial void Back(ILogger logger);
    }
}
