using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Temporalio.Api.Schedule.V1;

namespace ModelOps.Temporal.Schedules;

/// <summary>A time that a spec names, before and after its jitter.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct ScheduleTime(DateTimeOffset Nominal, DateTimeOffset Actual);

/// <summary>A ScheduleSpec, checked and ready to say when it fires: the union of its calendars, cron expressions and intervals, without what it excludes.</summary>
public sealed class CompiledSpec
{
    // An interval of a second that a calendar excludes for more than a week is no schedule.
    private const int MaxExcluded = 1_000_000;

    private readonly TimeZoneInfo zone;
    private readonly IReadOnlyList<Calendar> calendars;
    private readonly IReadOnlyList<Calendar> exclusions;
    private readonly IReadOnlyList<(long Interval, long Phase)> intervals;
    private readonly TimeSpan jitter;

    private CompiledSpec(ScheduleSpec canonical, TimeZoneInfo zone)
    {
        Canonical = canonical;
        this.zone = zone;
        calendars = [.. canonical.StructuredCalendar.Select(calendar => new Calendar(calendar))];
        exclusions = [.. canonical.ExcludeStructuredCalendar.Select(calendar => new Calendar(calendar))];
        intervals = [.. canonical.Interval.Select(interval => (interval.Interval.Seconds, interval.Phase?.Seconds ?? 0))];
        jitter = canonical.Jitter?.ToTimeSpan() ?? TimeSpan.Zero;
    }

    /// <summary>The same spec with calendars and cron expressions as structured calendars and intervals: what a describe answers.</summary>
    public ScheduleSpec Canonical { get; }

    /// <exception cref="ScheduleException">The spec is wrong; the message lists every fault.</exception>
    public static CompiledSpec Compile(ScheduleSpec spec)
    {
        var faults = new List<string>();
        var canonical = spec.Clone();
        canonical.StructuredCalendar.Add(spec.Calendar.Select(calendar => Calendar.Parse(calendar, faults)));
        canonical.Calendar.Clear();
#pragma warning disable CS0612 // obsolete, but older clients send it
        canonical.ExcludeStructuredCalendar.Add(spec.ExcludeCalendar.Select(calendar => Calendar.Parse(calendar, faults)));
        canonical.ExcludeCalendar.Clear();
#pragma warning restore CS0612
        AddCron(canonical, faults);
        foreach (var calendar in canonical.StructuredCalendar.Concat(canonical.ExcludeStructuredCalendar)) Calendar.Check(calendar, faults);
        foreach (var interval in canonical.Interval) Check(interval, faults);
        if (canonical.Jitter is { } jitter && jitter.ToTimeSpan() < TimeSpan.Zero) faults.Add("the jitter is negative");
        var named = Zone(canonical, faults);
        return faults.Count == 0 ? new(canonical, named) : throw new ScheduleException($"invalid schedule spec: {string.Join("; ", faults)}");
    }

    /// <param name="seed">With the time it decides the jitter, so that a recovered schedule comes to the same times.</param>
    /// <returns>The first time after <paramref name="after"/>; null when there is none any more.</returns>
    public ScheduleTime? Next(DateTimeOffset after, string seed)
    {
        if (Canonical.StartTime?.ToDateTimeOffset() is { } start && after < start) after = start.AddSeconds(-1);
        for (var i = 0; i < MaxExcluded; i++)
        {
            if (Nominal(after) is not { } nominal || Canonical.EndTime?.ToDateTimeOffset() < nominal) return null;
            if (!exclusions.Any(exclusion => exclusion.Matches(nominal, zone))) return new(nominal, nominal + Jitter(nominal, seed));
            after = nominal;
        }
        return null;
    }

    private DateTimeOffset? Nominal(DateTimeOffset after)
    {
        DateTimeOffset? first = null;
        foreach (var calendar in calendars)
            if (calendar.Next(after, zone) is { } next && !(next >= first)) first = next;
        foreach (var (interval, phase) in intervals)
        {
            var elapsed = after.ToUnixTimeSeconds() - phase;
            var next = DateTimeOffset.FromUnixTimeSeconds((((elapsed / interval) + 1) * interval) + phase);
            if (!(next >= first)) first = next;
        }
        return first;
    }

    /// <summary>The hash as a fraction of the jitter, in whole milliseconds, and never beyond the next time.</summary>
    private TimeSpan Jitter(DateTimeOffset nominal, string seed)
    {
        if (jitter == TimeSpan.Zero) return TimeSpan.Zero;
        var most = Nominal(nominal) - nominal is { } gap && gap < jitter ? gap : jitter;
        var hash = BinaryPrimitives.ReadUInt32BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{nominal.ToUnixTimeSeconds()} {seed}")));
        return TimeSpan.FromMilliseconds(Math.Floor(most.TotalMilliseconds * (hash / (uint.MaxValue + 1.0))));
    }

    private static void AddCron(ScheduleSpec canonical, List<string> faults)
    {
        var expressions = canonical.CronString.Select(text => CronText.Parse(text, faults)).OfType<CronText>().ToList();
        canonical.CronString.Clear();
        canonical.StructuredCalendar.Add(expressions.Select(cron => cron.Calendar).OfType<CalendarSpec>().Select(calendar => Calendar.Parse(calendar, faults)));
        canonical.Interval.Add(expressions.Select(cron => cron.Interval).OfType<IntervalSpec>());
        var zones = expressions.Where(cron => cron.Calendar != null).Select(cron => cron.Zone).Distinct().ToList();
        if (zones.Count > 1) faults.Add("the cron expressions name different time zones");
        else if (zones is [{ Length: > 0 } named])
        {
            if (canonical.TimezoneName.Length > 0 && canonical.TimezoneName != named) faults.Add($"a cron expression names time zone {named} and the spec {canonical.TimezoneName}");
            canonical.TimezoneName = named;
        }
    }

    private static void Check(IntervalSpec interval, List<string> faults)
    {
        var (length, phase) = (interval.Interval?.ToTimeSpan() ?? TimeSpan.Zero, interval.Phase?.ToTimeSpan() ?? TimeSpan.Zero);
        if (length < TimeSpan.FromSeconds(1)) faults.Add($"interval {length}: it must be a second or more");
        else if (phase < TimeSpan.Zero || phase >= length) faults.Add($"interval {length}: its phase {phase} must not be negative and be less than the interval");
    }

    private static TimeZoneInfo Zone(ScheduleSpec spec, List<string> faults)
    {
        if (!spec.TimezoneData.IsEmpty) faults.Add("timezone_data is not supported: name a time zone");
        if (spec.TimezoneName.Length == 0) return TimeZoneInfo.Utc;
        if (TimeZoneInfo.TryFindSystemTimeZoneById(spec.TimezoneName, out var zone)) return zone;
        faults.Add($"there is no time zone '{spec.TimezoneName}'");
        return TimeZoneInfo.Utc;
    }
}
