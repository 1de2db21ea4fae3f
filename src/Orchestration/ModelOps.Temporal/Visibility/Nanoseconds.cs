using System.Buffers;
using System.Globalization;

namespace ModelOps.Temporal.Visibility;

/// <summary>Times as nanoseconds since 1970 and durations as nanoseconds: how the visibility table stores and compares them.</summary>
internal static class Nanoseconds
{
    private const long PerSecond = 1_000_000_000;
    private const long PerTick = 100;

    private static readonly SearchValues<char> ofTimes = SearchValues.Create("0123456789-+:.TZ");

    public static long Of(Timestamp time) => (time.Seconds * PerSecond) + time.Nanos;

    /// <param name="text">RFC 3339.</param>
    public static long? OfTime(string text)
    {
        // What has no quote or escape in it can stand between quotes of JSON, whose reader knows RFC 3339 to the nanosecond.
        if (text.AsSpan().ContainsAnyExcept(ofTimes)) return null;
        try
        {
            var time = JsonParser.Default.Parse<Timestamp>($"\"{text}\"");
            return time.Seconds is > -PerSecond * 9 and < PerSecond * 9 ? Of(time) : null;
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    /// <param name="text">As Go writes it (<c>1h30m</c>), or <c>hh:mm:ss</c>.</param>
    public static long? OfDuration(string text)
    {
        if (!GoDuration.TryParse(text, out var duration) && !TimeSpan.TryParseExact(text, ["h\\:mm\\:ss", "hh\\:mm\\:ss"], CultureInfo.InvariantCulture, out duration))
            return null;
        return duration.Ticks is > long.MinValue / PerTick and < long.MaxValue / PerTick ? duration.Ticks * PerTick : null;
    }
}
