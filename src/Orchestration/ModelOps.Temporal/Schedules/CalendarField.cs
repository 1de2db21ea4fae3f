using System.Globalization;
using CalendarRange = Temporalio.Api.Schedule.V1.Range;

namespace ModelOps.Temporal.Schedules;

/// <summary>One field of a calendar: its bounds, what an empty text means, and the names that stand for numbers in it.</summary>
/// <param name="ShortestName">Letters that a name can be cut to.</param>
internal sealed record CalendarField(string Name, int Min, int Max, string Empty, int ShortestName = 0, params string[] Names)
{
    public static readonly CalendarField Second = new("second", 0, 59, "0");
    public static readonly CalendarField Minute = new("minute", 0, 59, "0");
    public static readonly CalendarField Hour = new("hour", 0, 23, "0");
    public static readonly CalendarField DayOfMonth = new("day of month", 1, 31, "*");
    public static readonly CalendarField Month = new("month", 1, 12, "*", 3,
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december");
    public static readonly CalendarField DayOfWeek = new("day of week", 0, 7, "*", 2,
        "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"); // 7 is Sunday too
    public static readonly CalendarField Year = new("year", 2000, 2100, "*");

    /// <summary>Reads <c>*</c>, <c>x</c>, <c>x-y</c>, each with an optional step <c>/n</c>, separated by commas; <c>x/n</c> goes on to the end of the field.</summary>
    public IEnumerable<CalendarRange> Parse(string text, List<string> faults)
    {
        var ranges = new List<CalendarRange>();
        foreach (var part in (string.IsNullOrWhiteSpace(text) ? Empty : text.Trim()).Split(','))
            if (ParsePart(part) is { } range) ranges.Add(range);
            else faults.Add($"{Name} '{text}': '{part}' is not *, a value or a range from {Min} to {Max}, with or without a step");
        return ranges;
    }

    public void Check(IEnumerable<CalendarRange> ranges, List<string> faults)
    {
        foreach (var range in ranges)
            if (range.Start < Min || range.Start > Max || range.End > Max || range.Step < 0)
                faults.Add($"{Name} {range.Start}-{range.End}/{range.Step}: the range must lie in {Min} to {Max} and its step not be negative");
    }

    private CalendarRange? ParsePart(string part)
    {
        var slash = part.IndexOf('/', StringComparison.Ordinal);
        var step = 1;
        if (slash >= 0 && (!int.TryParse(part[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out step) || step < 1)) return null;
        var values = slash < 0 ? part : part[..slash];
        if (values is "*" or "?") return new() { Start = Min, End = Max, Step = step };
        var ends = values.Split('-');
        if (ends.Length > 2 || Value(ends[0]) is not { } start) return null;
        if (ends.Length == 1) return new() { Start = start, End = slash < 0 ? start : Max, Step = step };
        return Value(ends[1]) is { } end && end >= start ? new() { Start = start, End = end, Step = step } : null;
    }

    private int? Value(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return number >= Min && number <= Max ? number : null;
        if (Names.Length == 0 || text.Length < ShortestName) return null;
        var named = Array.FindIndex(Names, name => name.StartsWith(text, StringComparison.OrdinalIgnoreCase));
        return named < 0 ? null : named + Min;
    }
}
