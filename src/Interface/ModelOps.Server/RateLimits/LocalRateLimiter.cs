using System.Collections.Concurrent;

namespace ModelOps.Server.RateLimits;

/// <summary>
/// Buckets of this process. The framework's TokenBucketRateLimiter has a clock that no test can set and refills in steps; here a bucket
/// is one number, the same as in Redis.
/// </summary>
/// <param name="mostBuckets">Buckets of one role that are kept at once; 100,000 are about 15 MB.</param>
public sealed class LocalRateLimiter(RateLimitOptions options, TimeProvider time, int mostBuckets = LocalRateLimiter.DefaultMostBuckets) : IRateLimiter
{
    public const int DefaultMostBuckets = 100_000;
    private readonly ConcurrentDictionary<string, Tier> tiers = new(StringComparer.Ordinal);
    private readonly long start = time.GetTimestamp();

    /// <summary>Buckets kept at this moment of a role; null is anonymous.</summary>
    public int BucketsOf(string? role) => TierOf(role).Count;

    public ValueTask<RateDecision> TakeAsync(RatePartition partition, CancellationToken cancellationToken) =>
        ValueTask.FromResult(TierOf(partition.Role).Take(partition.Id));

    private Tier TierOf(string? role) => tiers.GetOrAdd(
        RatePartition.PolicyOf(role),
        static (_, with) => new Tier(TokenBucket.Of(with.options.Of(with.role)), with.mostBuckets, with.clock),
        (options, role, mostBuckets, clock: (Func<long>)Now));

    private long Now() => (long)time.GetElapsedTime(start).TotalMicroseconds;

    /// <summary>The buckets of one role, so that a flood of addresses crowds out addresses alone.</summary>
    /// <param name="clock">Microseconds; never goes back.</param>
    private sealed class Tier(TokenBucket bucket, int mostBuckets, Func<long> clock)
    {
        private const string Shared = "(others)"; // no id and no address
        private const long SweepEvery = 10_000_000;
        private const long SweepWhenCrowdedEvery = 1_000_000;
        private readonly ConcurrentDictionary<string, long> fullAt = new(StringComparer.Ordinal);
        private int count; // the dictionary's own takes all of its locks
        private long swept;

        public int Count => Volatile.Read(ref count);

        public RateDecision Take(string id)
        {
            Sweep();
            while (true)
            {
                // The clock is read after the bucket: read before, it could be older than the bucket's last change and give tokens back.
                if (fullAt.TryGetValue(id, out var before))
                {
                    var (decision, after) = bucket.Take(before, clock());
                    if (after == before || fullAt.TryUpdate(id, after, before)) return decision;
                }
                else if (id != Shared && Count >= mostBuckets)
                {
                    // Whoever still has no bucket shares one with the others: to evict one instead would give its owner a full burst.
                    id = Shared;
                }
                else
                {
                    var now = clock();
                    var (decision, after) = bucket.Take(now, now);
                    if (!fullAt.TryAdd(id, after)) continue;
                    Interlocked.Increment(ref count);
                    return decision;
                }
            }
        }

        /// <summary>Drops the buckets that are full: a bucket that is not kept is a full one.</summary>
        private void Sweep()
        {
            var (last, now) = (Volatile.Read(ref swept), clock());
            if (now - last < (Count >= mostBuckets ? SweepWhenCrowdedEvery : SweepEvery)) return;
            if (Interlocked.CompareExchange(ref swept, now, last) != last) return;
            foreach (var entry in fullAt)
                if (entry.Value <= now && fullAt.TryRemove(entry))
                    Interlocked.Decrement(ref count);
        }
    }
}
