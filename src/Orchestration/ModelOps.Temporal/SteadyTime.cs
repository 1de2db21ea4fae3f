namespace ModelOps.Temporal;

/// <summary>
/// The time that another clock had when this began, and what has passed since: it does not jump when that clock is set. For deadlines in memory,
/// which would else be met at once, or not for as long as the clock was set back.
/// </summary>
public sealed class SteadyTime(TimeProvider inner) : TimeProvider
{
    private readonly DateTimeOffset start = inner.GetUtcNow();
    private readonly long since = inner.GetTimestamp();

    public override TimeZoneInfo LocalTimeZone => inner.LocalTimeZone;

    public override long TimestampFrequency => inner.TimestampFrequency;

    public override DateTimeOffset GetUtcNow() => start + inner.GetElapsedTime(since);

    public override long GetTimestamp() => inner.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        inner.CreateTimer(callback, state, dueTime, period);
}
