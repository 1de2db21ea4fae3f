using Temporalio.Api.Schedule.V1;
using CalendarRange = Temporalio.Api.Schedule.V1.Range;

namespace ModelOps.Temporal.Schedules;

/// <summary>
/// The times that match a StructuredCalendarSpec, to the second. Clock times are matched as they are: one that daylight saving skips does not happen,
/// one that it repeats happens twice.
/// </summary>
internal sealed class Calendar(StructuredCalendarSpec spec)
{
    private const int SecondsPerDay = 86_400;
    private const int LastYear = 2100;

    private readonly ulong second = Bits(spec.Second);
    private readonly ulong minute = Bits(spec.Minute);
    private readonly ulong hour = Bits(spec.Hour);
    private readonly ulong dayOfMonth = Bits(spec.DayOfMonth);
    private readonly ulong month = Bits(spec.Month);
    private readonly ulong dayOfWeek = Bits(spec.DayOfWeek) | (Bits(spec.DayOfWeek) >> 7);
    private readonly HashSet<int> years = [.. spec.Year.SelectMany(Values)];

    public static StructuredCalendarSpec Parse(CalendarSpec spec, List<string> faults) => new()
    {
        Second = { CalendarField.Second.Parse(spec.Second, faults) },
        Minute = { CalendarField.Minute.Parse(spec.Minute, faults) },
        Hour = { CalendarField.Hour.Parse(spec.Hour, faults) },
        DayOfMonth = { CalendarField.DayOfMonth.Parse(spec.DayOfMonth, faults) },
        Month = { CalendarField.Month.Parse(spec.Month, faults) },
        DayOfWeek = { CalendarField.DayOfWeek.Parse(spec.DayOfWeek, faults) },
        Year = { string.IsNullOrWhiteSpace(spec.Year) || spec.Year == "*" ? [] : CalendarField.Year.Parse(spec.Year, faults) },
        Comment = spec.Comment,
    };

    public static void Check(StructuredCalendarSpec spec, List<string> faults)
    {
        CalendarField.Second.Check(spec.Second, faults);
        CalendarField.Minute.Check(spec.Minute, faults);
        CalendarField.Hour.Check(spec.Hour, faults);
        CalendarField.DayOfMonth.Check(spec.DayOfMonth, faults);
        CalendarField.Month.Check(spec.Month, faults);
        CalendarField.DayOfWeek.Check(spec.DayOfWeek, faults);
        CalendarField.Year.Check(spec.Year, faults);
    }

    public bool Matches(DateTimeOffset time, TimeZoneInfo zone)
    {
        var local = TimeZoneInfo.ConvertTime(time, zone);
        return Matches(DateOnly.FromDateTime(local.DateTime)) && Has(hour, local.Hour) && Has(minute, local.Minute) && Has(second, local.Second);
    }

    /// <returns>The first match after the time; null with none before 2101.</returns>
    public DateTimeOffset? Next(DateTimeOffset after, TimeZoneInfo zone)
    {
        var from = DateTimeOffset.FromUnixTimeSeconds(after.ToUnixTimeSeconds() + 1);
        // Around midnight the clock can be set back to the day before, so that the days on both sides are looked at too.
        var date = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(from, zone).DateTime).AddDays(-1);
        for (; date.Year <= LastYear; date = NextDate(date))
            if (First(date, from, zone) is { } found)
                return First(date.AddDays(1), from, zone) is { } other && other < found ? other : found;
        return null;
    }

    /// <summary>The day after, or the first of the next month or year where this one does not match.</summary>
    private DateOnly NextDate(DateOnly date) =>
        years.Count > 0 && !years.Contains(date.Year) ? new(date.Year + 1, 1, 1)
        : !Has(month, date.Month) ? new DateOnly(date.Year, date.Month, 1).AddMonths(1)
        : date.AddDays(1);

    private DateTimeOffset? First(DateOnly date, DateTimeOffset from, TimeZoneInfo zone)
    {
        if (!Matches(date)) return null;
        // Whatever the zone, the offsets before and after this day's one change are those of the days around it.
        var noon = new DateTimeOffset(date, new TimeOnly(12, 0), TimeSpan.Zero);
        var (before, after) = (zone.GetUtcOffset(noon.AddHours(-38)), zone.GetUtcOffset(noon.AddHours(38)));
        var first = First(date, before, from, zone);
        return before != after && First(date, after, from, zone) is { } other && (first is null || other < first) ? other : first;
    }

    /// <summary>The first match on this date while the clock has this offset.</summary>
    private DateTimeOffset? First(DateOnly date, TimeSpan offset, DateTimeOffset from, TimeZoneInfo zone)
    {
        var midnight = new DateTimeOffset(date, TimeOnly.MinValue, offset);
        var time = Math.Max(0, (from - midnight).Ticks / TimeSpan.TicksPerSecond);
        while ((time = NextTime(time)) < SecondsPerDay)
        {
            var instant = midnight.AddSeconds(time);
            if (zone.GetUtcOffset(instant) == offset) return instant.ToUniversalTime();
            time++;
        }
        return null;
    }

    /// <summary>The first second of the day that matches, from this one on; the length of a day without any.</summary>
    private long NextTime(long time)
    {
        while (time < SecondsPerDay)
        {
            if (!Has(hour, (int)(time / 3600))) time += 3600 - (time % 3600);
            else if (!Has(minute, (int)(time / 60 % 60))) time += 60 - (time % 60);
            else if (!Has(second, (int)(time % 60))) time++;
            else return time;
        }
        return SecondsPerDay;
    }

    private bool Matches(DateOnly date) =>
        (years.Count == 0 || years.Contains(date.Year)) && Has(month, date.Month) && Has(dayOfMonth, date.Day) && Has(dayOfWeek, (int)date.DayOfWeek);

    private static bool Has(ulong bits, int value) => (bits >> value & 1) != 0;

    private static ulong Bits(IEnumerable<CalendarRange> ranges) => ranges.SelectMany(Values).Aggregate(0UL, (bits, value) => bits | (1UL << value));

    private static IEnumerable<int> Values(CalendarRange range)
    {
        for (var value = range.Start; value <= Math.Max(range.Start, range.End); value += Math.Max(1, range.Step)) yield return value;
    }
}
