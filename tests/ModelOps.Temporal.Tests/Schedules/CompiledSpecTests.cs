using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using ModelOps.Temporal.Schedules;
using Temporalio.Api.Schedule.V1;
using CalendarRange = Temporalio.Api.Schedule.V1.Range;

namespace ModelOps.Temporal.Tests.Schedules;

public sealed class CompiledSpecTests
{
    /// <summary>Each expression from a time on: the times that follow, in UTC.</summary>
    [Theory]
    [InlineData("* * * * *", "2026-01-01T00:00:00", "2026-01-01T00:01:00 2026-01-01T00:02:00")]
    [InlineData("*/15 * * * *", "2026-01-01T00:31:00", "2026-01-01T00:45:00 2026-01-01T01:00:00")]
    [InlineData("5/20 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00 2026-01-01T00:25:00 2026-01-01T00:45:00 2026-01-01T01:05:00")]
    [InlineData("0 9-17/4 * * *", "2026-01-01T00:00:00", "2026-01-01T09:00:00 2026-01-01T13:00:00 2026-01-01T17:00:00 2026-01-02T09:00:00")]
    [InlineData("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00 2032-02-29T00:00:00")]
    [InlineData("0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00:00 2026-05-31T00:00:00")]
    [InlineData("0 0 31 2 *", "2026-01-01T00:00:00", "")]
    [InlineData("30 12 * * MON-FRI", "2026-01-02T12:30:00", "2026-01-05T12:30:00 2026-01-06T12:30:00")]
    [InlineData("0 0 * * 7", "2026-01-01T00:00:00", "2026-01-04T00:00:00 2026-01-11T00:00:00")]
    [InlineData("0 0 * * sun,3", "2026-01-01T00:00:00", "2026-01-04T00:00:00 2026-01-07T00:00:00")]
    [InlineData("0 0 1 jan,September *", "2026-01-01T00:00:00", "2026-09-01T00:00:00 2027-01-01T00:00:00")]
    [InlineData("0 0 13 * FRI", "2026-01-01T00:00:00", "2026-02-13T00:00:00 2026-03-13T00:00:00 2026-11-13T00:00:00")] // both, unlike a crontab
    [InlineData("0 0 1 1 * 2030-2032/2", "2026-01-01T00:00:00", "2030-01-01T00:00:00 2032-01-01T00:00:00")]
    [InlineData("0 0 1 1 * 2020", "2026-01-01T00:00:00", "")]
    [InlineData("10,50 0 0 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:00:10 2026-01-01T00:00:50 2026-01-02T00:00:10")]
    [InlineData("* * * * * * *", "2026-12-31T23:59:58", "2026-12-31T23:59:59 2027-01-01T00:00:00")]
    [InlineData("@hourly", "2026-01-01T00:00:01", "2026-01-01T01:00:00 2026-01-01T02:00:00")]
    [InlineData("@daily", "2026-01-01T00:00:00", "2026-01-02T00:00:00")]
    [InlineData("@weekly", "2026-01-01T00:00:00", "2026-01-04T00:00:00")]
    [InlineData("@monthly # the first", "2026-01-01T00:00:00", "2026-02-01T00:00:00")]
    [InlineData("@yearly", "2026-01-01T00:00:00", "2027-01-01T00:00:00")]
    [InlineData("@every 90m", "2026-01-01T00:00:00", "2026-01-01T01:30:00 2026-01-01T03:00:00")]
    [InlineData("@every 1h/5m", "2026-01-01T00:00:00", "2026-01-01T00:05:00 2026-01-01T01:05:00")]
    [InlineData("@every 1d", "2026-01-01T12:00:00", "2026-01-02T00:00:00")]
    [InlineData("CRON_TZ=Europe/Berlin 0 8 * * *", "2026-01-01T00:00:00", "2026-01-01T07:00:00")]
    [InlineData("TZ=Asia/Kolkata 30 5 * * *", "2026-01-01T00:00:00", "2026-01-02T00:00:00")]
    // New York 2026: 02:00 to 03:00 is left out on 8 March, 01:00 to 02:00 comes twice on 1 November.
    [InlineData("CRON_TZ=America/New_York 30 2 * * *", "2026-03-07T00:00:00", "2026-03-07T07:30:00 2026-03-09T06:30:00")]
    [InlineData("CRON_TZ=America/New_York */30 1-3 8 3 *", "2026-03-08T00:00:00", "2026-03-08T06:00:00 2026-03-08T06:30:00 2026-03-08T07:00:00 2026-03-08T07:30:00")]
    [InlineData("CRON_TZ=America/New_York 30 1 * * *", "2026-11-01T00:00:00", "2026-11-01T05:30:00 2026-11-01T06:30:00 2026-11-02T06:30:00")]
    [InlineData("CRON_TZ=America/New_York 0 * 1 11 *", "2026-11-01T04:30:00", "2026-11-01T05:00:00 2026-11-01T06:00:00 2026-11-01T07:00:00")]
    // Lord Howe's clock changes by half an hour; Samoa had no 30 December 2011; Havana's clock goes back from 01:00 to midnight.
    [InlineData("CRON_TZ=Australia/Lord_Howe 15 2 * * *", "2026-10-02T12:00:00", "2026-10-02T15:45:00 2026-10-04T15:15:00 2026-10-05T15:15:00")]
    [InlineData("CRON_TZ=Pacific/Apia 0 12 29-31 12 * 2011", "2011-12-01T00:00:00", "2011-12-29T22:00:00 2011-12-30T22:00:00")]
    [InlineData("CRON_TZ=America/Havana 30 0 * * *", "2026-11-01T00:00:00", "2026-11-01T04:30:00 2026-11-01T05:30:00 2026-11-02T05:30:00")]
    public void Next_Cron_GivesTheTimes(string expression, string after, string times)
    {
        var wanted = times.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var found = Times(CompiledSpec.Compile(new ScheduleSpec { CronString = { expression } }), Time(after), Math.Max(1, wanted.Length)).ToList();
        Assert.Equal(wanted, found.Select(Text));
    }

    /// <summary>What is found is what asking every second of four days, around the changes of the clock, finds.</summary>
    [Theory]
    [InlineData("America/New_York", "2026-03-07T00:00:00")]
    [InlineData("America/New_York", "2026-10-31T00:00:00")]
    [InlineData("Australia/Lord_Howe", "2026-04-03T12:00:00")]
    [InlineData("America/Havana", "2026-10-31T00:00:00")]
    [InlineData("America/St_Johns", "2010-11-06T00:00:00")]
    [InlineData("Pacific/Apia", "2011-12-29T00:00:00")]
    [InlineData("", "2026-02-27T00:00:00")]
    public void Next_RandomCalendars_AgreesWithEverySecond(string zone, string from)
    {
        var random = new Random(7);
        var info = zone.Length == 0 ? TimeZoneInfo.Utc : TimeZoneInfo.FindSystemTimeZoneById(zone);
        for (var round = 0; round < 6; round++)
        {
            var calendar = new StructuredCalendarSpec
            {
                Second = { Pick(0, 59) },
                Minute = { Pick(0, 59), Pick(0, 59) },
                Hour = { Pick(0, 23), Pick(0, 3), Pick(20, 23) },
                DayOfMonth = { new CalendarRange { Start = 1, End = 31, Step = random.Next(1, 3) } },
                Month = { new CalendarRange { Start = 1, End = 12 } },
                DayOfWeek = { new CalendarRange { Start = 0, End = 6, Step = random.Next(1, 3) } },
            };
            var compiled = new ModelOps.Temporal.Schedules.Calendar(calendar);
            var spec = CompiledSpec.Compile(new() { StructuredCalendar = { calendar }, TimezoneName = zone });
            var (start, end) = (Time(from), Time(from).AddDays(4));
            var wanted = new List<DateTimeOffset>();
            for (var second = start.AddSeconds(1); second <= end; second = second.AddSeconds(1))
                if (compiled.Matches(second, info)) wanted.Add(second);
            var found = Times(spec, start, int.MaxValue).TakeWhile(time => time <= end);
            Assert.Equal(wanted, found);
        }

        CalendarRange Pick(int min, int max)
        {
            var first = random.Next(min, max + 1);
            return new() { Start = first, End = Math.Min(max, first + random.Next(0, 4)), Step = random.Next(0, 3) };
        }
    }

    [Fact]
    public void Next_Exclusion_LeavesItsTimesOut()
    {
        var spec = CompiledSpec.Compile(new()
        {
            Interval = { new IntervalSpec { Interval = Duration.FromTimeSpan(TimeSpan.FromHours(6)) } },
            ExcludeStructuredCalendar = { CompiledSpec.Compile(new() { CronString = { "* * * * SAT,SUN" } }).Canonical.StructuredCalendar },
        });
        Assert.Equal(["2026-01-02T18:00:00", "2026-01-05T00:00:00"], Times(spec, Time("2026-01-02T12:00:00"), 2).Select(Text));
    }

    [Fact]
    public void Next_StartAndEnd_BothCount()
    {
        var spec = CompiledSpec.Compile(new()
        {
            CronString = { "0 * * * *" },
            StartTime = Time("2026-01-01T10:00:00").ToTimestamp(),
            EndTime = Time("2026-01-01T12:00:00").ToTimestamp(),
        });
        Assert.Equal(["2026-01-01T10:00:00", "2026-01-01T11:00:00", "2026-01-01T12:00:00"], Times(spec, Time("2026-01-01T00:00:00"), 9).Select(Text));
    }

    [Fact]
    public void Next_Jitter_IsTheSameEachTimeAndNeverBeyondTheNextTime()
    {
        var spec = CompiledSpec.Compile(new() { CronString = { "* * * * *" }, Jitter = Duration.FromTimeSpan(TimeSpan.FromHours(1)) });
        var delays = new List<double>();
        var after = Time("2026-01-01T00:00:00");
        for (var i = 0; i < 200; i++)
        {
            var next = spec.Next(after, "schedule")!.Value;
            Assert.Equal(next, spec.Next(after, "schedule"));
            delays.Add((next.Actual - next.Nominal).TotalSeconds);
            after = next.Nominal;
        }
        Assert.All(delays, delay => Assert.InRange(delay, 0, 59.999));
        Assert.InRange(delays.Average(), 25, 35);
        Assert.NotEqual(spec.Next(after, "schedule"), spec.Next(after, "another"));
    }

    [Fact]
    public void Compile_EverythingWrong_NamesEachFault()
    {
        var error = Assert.Throws<ScheduleException>(() => CompiledSpec.Compile(new()
        {
            CronString = { "61 * * * *", "* * *", "CRON_TZ=Mars/Olympus 0 0 * * *", "@every soon" },
            Calendar = { new CalendarSpec { Hour = "25", Month = "foo" } },
            StructuredCalendar = { new StructuredCalendarSpec { Second = { new CalendarRange { Start = 70 } } } },
            Interval = { new IntervalSpec { Interval = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(1)) } },
        }));
        foreach (var fault in (string[])["minute '61'", "'* * *': it must have 5 to 7 fields", "hour '25'", "month 'foo'", "second 70-0", "interval 00:00:00.0010000", "different time zones", "@every takes"])
            Assert.Contains(fault, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Compile_Canonical_KeepsCommentsAndZone()
    {
        var canonical = CompiledSpec.Compile(new() { CronString = { "CRON_TZ=Europe/Berlin 0 8 * * MON # report" } }).Canonical;
        Assert.Equal("Europe/Berlin", canonical.TimezoneName);
        Assert.Equal("report", Assert.Single(canonical.StructuredCalendar).Comment);
        Assert.Empty(canonical.CronString);
    }

    [Theory]
    [InlineData("0 12 * * *", "2026-01-01T00:00:00", "2026-01-01T13:00:00", "2026-01-02T12:00:00")]
    [InlineData("0 0 13 * FRI", "2026-01-01T00:00:00", "2026-01-01T00:00:00", "2026-01-02T00:00:00")] // the next Friday or 13th
    [InlineData("@every 10s", "2026-01-01T00:00:03", "2026-01-01T00:00:03", "2026-01-01T00:00:13")]
    [InlineData("@every 10s", "2026-01-01T00:00:03", "2026-01-01T00:00:27", "2026-01-01T00:00:33")]
    [InlineData("CRON_TZ=Europe/Berlin 0 8 * * *", "2026-07-01T00:00:00", "2026-07-01T00:00:00", "2026-07-01T06:00:00")]
    public void WorkflowCronNext_AfterARun_GivesTheNextStart(string expression, string started, string closed, string next) =>
        Assert.Equal(Time(next), WorkflowCron.Parse(expression).Next(Time(started), Time(closed)));

    [Theory]
    [InlineData("")]
    [InlineData("* * * *")]
    [InlineData("0 * * * * * 2030")]
    [InlineData("60 * * * *")]
    [InlineData("@every 1ms")]
    public void WorkflowCronParse_Wrong_Throws(string expression) => Assert.Throws<ScheduleException>(() => WorkflowCron.Parse(expression));

    private static IEnumerable<DateTimeOffset> Times(CompiledSpec spec, DateTimeOffset after, int most)
    {
        for (var i = 0; i < most && spec.Next(after, "") is { } next; i++)
        {
            yield return next.Actual;
            after = next.Nominal;
        }
    }

    private static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture);
}
