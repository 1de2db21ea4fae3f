using Temporalio.Api.Schedule.V1;

namespace ModelOps.Temporal.Schedules;

/// <summary>
/// A cron expression of 5 to 7 fields (<c>minute hour day-of-month month day-of-week [year]</c>, with seconds in front if 7), a shorthand such as
/// <c>@daily</c>, or <c>@every interval[/phase]</c>; before it <c>CRON_TZ=zone</c> or <c>TZ=zone</c>, after it <c># comment</c>.
/// </summary>
/// <param name="Zone">Empty where the expression names none.</param>
internal sealed record CronText(CalendarSpec? Calendar, IntervalSpec? Interval, string Zone)
{
    private static readonly Dictionary<string, string> shorthands = new(StringComparer.OrdinalIgnoreCase)
    {
        ["@yearly"] = "0 0 1 1 *",
        ["@annually"] = "0 0 1 1 *",
        ["@monthly"] = "0 0 1 * *",
        ["@weekly"] = "0 0 * * 0",
        ["@daily"] = "0 0 * * *",
        ["@midnight"] = "0 0 * * *",
        ["@hourly"] = "0 * * * *",
    };

    /// <returns>Null with a fault added.</returns>
    public static CronText? Parse(string text, List<string> faults)
    {
        var hash = text.IndexOf('#', StringComparison.Ordinal);
        var comment = hash < 0 ? "" : text[(hash + 1)..].Trim();
        var fields = (hash < 0 ? text : text[..hash]).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        var zone = fields.Length > 0 && (fields[0].StartsWith("CRON_TZ=", StringComparison.Ordinal) || fields[0].StartsWith("TZ=", StringComparison.Ordinal))
            ? fields[0][(fields[0].IndexOf('=', StringComparison.Ordinal) + 1)..]
            : "";
        if (zone.Length > 0) fields = fields[1..];
        if (fields is ["@every", var every]) return Every(every) is { } interval ? new(Calendar: null, interval, zone) : Fault("@every takes an interval such as 1h30m, or 1h/5m with a phase");
        if (fields is [var shorthand] && shorthands.TryGetValue(shorthand, out var full)) fields = full.Split(' ');
        return fields switch
        {
            [var minute, var hour, var day, var month, var weekday] => Of("0", minute, hour, day, month, weekday, "*"),
            [var minute, var hour, var day, var month, var weekday, var year] => Of("0", minute, hour, day, month, weekday, year),
            [var second, var minute, var hour, var day, var month, var weekday, var year] => Of(second, minute, hour, day, month, weekday, year),
            _ => Fault("it must have 5 to 7 fields, or be @every INTERVAL, @hourly, @daily, @weekly, @monthly or @yearly"),
        };

        CronText Of(string second, string minute, string hour, string day, string month, string weekday, string year) => new(
            new CalendarSpec { Second = second, Minute = minute, Hour = hour, DayOfMonth = day, Month = month, DayOfWeek = weekday, Year = year, Comment = comment },
            Interval: null, zone);

        CronText? Fault(string what)
        {
            faults.Add($"cron expression '{text}': {what}");
            return null;
        }
    }

    private static IntervalSpec? Every(string text)
    {
        var parts = text.Split('/');
        var phase = TimeSpan.Zero;
        if (parts.Length > 2 || !GoDuration.TryParse(parts[0], out var interval) || (parts.Length == 2 && !GoDuration.TryParse(parts[1], out phase))) return null;
        return new() { Interval = Duration.FromTimeSpan(interval), Phase = Duration.FromTimeSpan(phase) };
    }
}
