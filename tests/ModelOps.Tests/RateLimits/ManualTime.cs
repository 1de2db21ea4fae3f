namespace ModelOps.Tests.RateLimits;

/// <summary>A clock that stands still until a test moves it.</summary>
internal sealed class ManualTime : TimeProvider
{
    private long microseconds;

    public override long TimestampFrequency => 1_000_000;

    public override long GetTimestamp() => Volatile.Read(ref microseconds);

    public void Advance(TimeSpan by) => Interlocked.Add(ref microseconds, by.Ticks / TimeSpan.TicksPerMicrosecond);
}
