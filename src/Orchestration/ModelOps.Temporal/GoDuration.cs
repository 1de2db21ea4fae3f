using System.Buffers;
using System.Globalization;

namespace ModelOps.Temporal;

/// <summary>Durations as Go writes them, which is how Temporal's query language and <c>@every</c> take them: <c>1h30m</c>, <c>1.5s</c>, <c>200ms</c>; days (<c>2d</c>) too.</summary>
internal static class GoDuration
{
    private static readonly (string Unit, double Ticks)[] units =
    [
        ("ns", 0.01), ("us", TimeSpan.TicksPerMicrosecond), ("µs", TimeSpan.TicksPerMicrosecond), ("ms", TimeSpan.TicksPerMillisecond),
        ("s", TimeSpan.TicksPerSecond), ("m", TimeSpan.TicksPerMinute), ("h", TimeSpan.TicksPerHour), ("d", TimeSpan.TicksPerDay),
    ];

    private static readonly SearchValues<char> digit = SearchValues.Create("0123456789.");

    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        duration = default;
        var negative = text is ['-', ..];
        if (text is ['-' or '+', ..]) text = text[1..];
        if (text is "0") return true;
        if (text.IsEmpty) return false;
        var ticks = 0.0;
        while (!text.IsEmpty)
        {
            var digits = text.IndexOfAnyExcept(digit);
            if (digits <= 0 || !double.TryParse(text[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)) return false;
            text = text[digits..];
            var length = text.IndexOfAny(digit);
            if (Scale(length < 0 ? text : text[..length]) is not { } scale) return false;
            text = length < 0 ? [] : text[length..];
            ticks += value * scale;
        }
        if (ticks > TimeSpan.MaxValue.Ticks / 2) return false;
        duration = TimeSpan.FromTicks((long)Math.Round(negative ? -ticks : ticks));
        return true;
    }

    private static double? Scale(ReadOnlySpan<char> unit)
    {
        foreach (var (name, ticks) in units)
            if (unit.SequenceEqual(name)) return ticks;
        return null;
    }
}
