using System.Runtime.InteropServices;

namespace ModelOps.Server.RateLimits;

/// <summary>
/// The arithmetic of a token bucket, in whole microseconds. All that is kept of a bucket is the time at which it is full again: a token
/// taken moves that time by <see cref="Interval"/>, and none is left when it lies more than <see cref="Capacity"/> ahead (the virtual
/// scheduling form of ITU-T I.371). A bucket whose time has passed is full, and so need not be kept at all.
/// </summary>
/// <param name="Interval">Microseconds in which one token comes back.</param>
/// <param name="Burst">Tokens of a full bucket.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct TokenBucket(long Interval, int Burst)
{
    private const double MicrosecondsPerSecond = 1_000_000;

    /// <summary>Microseconds in which an empty bucket is full again.</summary>
    public long Capacity => Interval * Burst;

    public static TokenBucket Of(RateLimit limit) =>
        new(Math.Max(1, (long)Math.Round(MicrosecondsPerSecond / limit.PerSecond)), limit.Burst);

    /// <summary>Takes one token.</summary>
    /// <param name="fullAt">When the bucket is full again; anything up to <paramref name="now"/> is a full bucket.</param>
    /// <returns>The decision, and <c>fullAt</c> after it: unchanged by a refusal.</returns>
    public (RateDecision Decision, long FullAt) Take(long fullAt, long now)
    {
        // The upper bound matters where a clock was set back or a limit made smaller: nobody waits longer than an empty bucket takes.
        fullAt = Math.Clamp(fullAt, now, now + Capacity);
        var wait = fullAt + Interval - Capacity - now;
        if (wait <= 0) fullAt += Interval;
        return (Decide(wait, fullAt - now), fullAt);
    }

    /// <param name="wait">Microseconds until there is a token; not above 0 where one was taken.</param>
    /// <param name="untilFull">Microseconds until the bucket is full again.</param>
    public RateDecision Decide(long wait, long untilFull) =>
        new(wait <= 0, (Capacity - untilFull) / Interval, TimeSpan.FromMicroseconds(Math.Max(0, wait)), TimeSpan.FromMicroseconds(untilFull));
}

/// <param name="Remaining">Tokens left.</param>
/// <param name="RetryAfter">Time until there is a token again; zero for a request that is allowed.</param>
/// <param name="UntilFull">Time until the whole burst is there again.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct RateDecision(bool Allowed, long Remaining, TimeSpan RetryAfter, TimeSpan UntilFull);
