namespace ModelOps.Temporal;

/// <summary>Temporal's times: an absent or zero duration sets no limit.</summary>
internal static class Times
{
    public static TimeSpan OrZero(this Duration? duration) => duration?.ToTimeSpan() ?? TimeSpan.Zero;

    public static bool IsSet(this Duration? duration) => duration is { Seconds: > 0 } or { Nanos: > 0 };

    /// <summary>When a limit that began at a time ends; never, when there is no limit.</summary>
    public static DateTimeOffset Limit(this Duration? duration, DateTimeOffset from) =>
        duration.IsSet() && duration!.ToTimeSpan() is var span && span < DateTimeOffset.MaxValue - from ? from + span : DateTimeOffset.MaxValue;

    public static Duration? Shorter(Duration? one, Duration? other) =>
        !one.IsSet() ? other : !other.IsSet() || one!.ToTimeSpan() <= other!.ToTimeSpan() ? one : other;

    public static DateTimeOffset Min(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;
}
