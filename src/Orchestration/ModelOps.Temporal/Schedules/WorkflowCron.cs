using Temporalio.Api.Schedule.V1;

namespace ModelOps.Temporal.Schedules;

/// <summary>
/// A workflow's cron schedule: five fields, a shorthand or <c>@every</c>, in UTC unless it names a zone. As in robfig/cron, which the server reads it by,
/// a time matches when day of month or day of week does, where both are restricted.
/// </summary>
public sealed class WorkflowCron
{
    private readonly CompiledSpec? calendar;
    private readonly TimeSpan every;

    private WorkflowCron(CompiledSpec? calendar, TimeSpan every) => (this.calendar, this.every) = (calendar, every);

    /// <exception cref="ScheduleException">The expression is wrong.</exception>
    public static WorkflowCron Parse(string text)
    {
        var faults = new List<string>();
        var cron = CronText.Parse(text, faults);
        if (cron?.Calendar is { } fields && (fields.Second != "0" || fields.Year != "*")) faults.Add($"cron expression '{text}': a workflow's has five fields");
        if (cron is null || faults.Count > 0) throw new ScheduleException(string.Join("; ", faults));
        if (cron.Interval is { } interval)
        {
            if (interval.Interval.Seconds < 1) throw new ScheduleException($"cron expression '{text}': the interval must be a second or more");
            return new(calendar: null, TimeSpan.FromSeconds(interval.Interval.Seconds));
        }
        return new(CompiledSpec.Compile(Spec(cron)), TimeSpan.Zero);
    }

    /// <param name="started">When the run that ended was to start: what an interval counts from.</param>
    /// <param name="closed">When it ended; equal to <paramref name="started"/> for the first run.</param>
    /// <returns>When the next run starts: times that passed while the last one ran are left out. Null when there is none any more.</returns>
    public DateTimeOffset? Next(DateTimeOffset started, DateTimeOffset closed)
    {
        if (calendar != null) return calendar.Next(closed, "")?.Nominal;
        var passed = Math.Max(0, (closed - started).Ticks / every.Ticks);
        return started + (every * (passed + 1));
    }

    private static ScheduleSpec Spec(CronText cron)
    {
        var spec = new ScheduleSpec { TimezoneName = cron.Zone };
        if (!IsRestricted(cron.Calendar!.DayOfMonth) || !IsRestricted(cron.Calendar.DayOfWeek)) spec.Calendar.Add(cron.Calendar);
        else
        {
            spec.Calendar.Add(new CalendarSpec(cron.Calendar) { DayOfWeek = "*" });
            spec.Calendar.Add(new CalendarSpec(cron.Calendar) { DayOfMonth = "*" });
        }
        return spec;

        static bool IsRestricted(string field) => field[0] is not ('*' or '?');
    }
}
