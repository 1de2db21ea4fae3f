using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using ModelOps.Temporal.Schedules;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.Schedule.V1;
using ScheduleState = ModelOps.Temporal.Schedules.ScheduleState;

namespace ModelOps.Temporal.Tests.Schedules;

public sealed class LiveScheduleTests
{
    private static readonly DateTimeOffset midnight = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Advance_TimeComes_StartsTheWorkflowNamedAfterIt()
    {
        var live = Hourly();
        Assert.Equal(midnight.AddHours(1), live.Advance(midnight).WakeAt);
        var step = live.Advance(midnight.AddHours(1));
        var start = Assert.Single(step.Starts);
        Assert.Equal("report-2026-01-01T01:00:00Z", start.WorkflowId);
        Assert.Equal(midnight.AddHours(2), step.WakeAt);
        Assert.Empty(live.Advance(midnight.AddHours(1)).Starts);
    }

    /// <summary>Four times come due while the first action runs; then it closes. What starts at each moment, by the hour of its time.</summary>
    [Theory]
    [InlineData(ScheduleOverlapPolicy.Unspecified, "1||||5", "", 3)]
    [InlineData(ScheduleOverlapPolicy.Skip, "1||||5", "", 3)]
    [InlineData(ScheduleOverlapPolicy.BufferOne, "1|||2|", "", 2)]
    [InlineData(ScheduleOverlapPolicy.BufferAll, "1|||2|", "", 0)]
    [InlineData(ScheduleOverlapPolicy.CancelOther, "1|||4|", "cancel", 0)]
    [InlineData(ScheduleOverlapPolicy.TerminateOther, "1|||4|", "terminate", 0)]
    [InlineData(ScheduleOverlapPolicy.AllowAll, "1|2|3|4|5", "", 0)]
    public void Advance_ActionStillRuns_FollowsTheOverlapPolicy(ScheduleOverlapPolicy policy, string starts, string effect, int skipped)
    {
        var live = Hourly(schedule => schedule.Policies.OverlapPolicy = policy);
        var started = new List<string> { Starts(live, live.Advance(midnight.AddHours(1))) };
        var second = live.Advance(midnight.AddHours(2));
        Assert.Equal(effect == "cancel" ? ["report-2026-01-01T01:00:00Z"] : [], second.Cancel.Select(execution => execution.WorkflowId));
        Assert.Equal(effect == "terminate" ? ["report-2026-01-01T01:00:00Z"] : [], second.Terminate.Select(execution => execution.WorkflowId));
        started.Add(Starts(live, second));
        started.Add(Starts(live, live.Advance(midnight.AddHours(3))));
        var fourth = live.Advance(midnight.AddHours(4));
        var atFour = Starts(live, fourth);
        live.Closed("report-2026-01-01T01:00:00Z", WorkflowExecutionStatus.Completed, result: null, failure: null);
        started.Add(atFour + Starts(live, live.Advance(midnight.AddHours(4))));
        started.Add(Starts(live, live.Advance(midnight.AddHours(5))));
        Assert.Equal(starts, string.Join('|', started));
        Assert.Equal(skipped, live.State.Info.OverlapSkipped);
    }

    [Fact]
    public void Advance_AfterAnOutage_StartsWhatTheCatchupWindowHolds()
    {
        var live = Hourly(schedule =>
        {
            schedule.Policies.OverlapPolicy = ScheduleOverlapPolicy.AllowAll;
            schedule.Policies.CatchupWindow = Duration.FromTimeSpan(TimeSpan.FromHours(2.5));
        });
        Assert.Equal([8, 9, 10], live.Advance(midnight.AddHours(10.2)).Starts.Select(start => start.Nominal.Hour));
        Assert.Equal(7, live.State.Info.MissedCatchupWindow);
    }

    [Fact]
    public void Advance_JitterAheadOfTheClock_KeepsTheTime()
    {
        var live = Hourly(schedule => schedule.Spec.Jitter = Duration.FromTimeSpan(TimeSpan.FromMinutes(50)));
        var due = live.Advance(midnight).WakeAt!.Value;
        Assert.True(due > midnight.AddHours(1));
        Assert.Empty(live.Advance(midnight.AddHours(1)).Starts);
        Assert.Empty(live.Advance(due.AddMilliseconds(-1)).Starts);
        Assert.Equal(1, Assert.Single(live.Advance(due).Starts).Nominal.Hour);
    }

    [Fact]
    public void Advance_Paused_LeavesTimesOutAndDoesNotMakeUpForThem()
    {
        var live = Hourly();
        live.Patch(new() { Pause = "maintenance" }, midnight);
        Assert.Null(live.Advance(midnight).WakeAt);
        Assert.Empty(live.Advance(midnight.AddHours(3.5)).Starts);
        Assert.Equal("maintenance", live.Describe().Schedule.State.Notes);
        live.Patch(new() { Unpause = "done" }, midnight.AddHours(3.5));
        Assert.Equal(midnight.AddHours(4), live.Advance(midnight.AddHours(3.5)).WakeAt);
    }

    [Fact]
    public void Closed_Failed_PausesWhereAskedTo()
    {
        foreach (var (asked, status, paused) in ((bool, WorkflowExecutionStatus, bool)[])[
            (true, WorkflowExecutionStatus.Failed, true), (true, WorkflowExecutionStatus.TimedOut, true), (true, WorkflowExecutionStatus.Completed, false),
            (true, WorkflowExecutionStatus.Terminated, false), (false, WorkflowExecutionStatus.Failed, false)])
        {
            var live = Hourly(schedule => schedule.Policies.PauseOnFailure = asked);
            Starts(live, live.Advance(midnight.AddHours(1)));
            live.Closed("report-2026-01-01T01:00:00Z", status, result: null, new Failure { Message = "no disk" });
            Assert.Equal(paused, live.Describe().Schedule.State.Paused);
            Assert.Equal(paused ? 0 : 1, live.Advance(midnight.AddHours(2)).Starts.Count);
        }
    }

    [Fact]
    public void Advance_LimitedActions_StopsAfterThem()
    {
        var live = Hourly(schedule =>
        {
            schedule.State = new() { LimitedActions = true, RemainingActions = 2 };
            schedule.Policies.OverlapPolicy = ScheduleOverlapPolicy.AllowAll;
        });
        Assert.Equal([1, 2], live.Advance(midnight.AddHours(5)).Starts.Select(start => start.Nominal.Hour));
        Assert.Null(live.Advance(midnight.AddHours(6)).WakeAt);
        live.Patch(new() { TriggerImmediately = new() }, midnight.AddHours(6));
        Assert.Single(live.Advance(midnight.AddHours(6)).Starts);
    }

    [Fact]
    public void Patch_Backfill_StartsTheTimesOfTheRangeEvenWhilePaused()
    {
        var live = Hourly(schedule => schedule.State = new() { Paused = true });
        live.Patch(new()
        {
            BackfillRequest = { new BackfillRequest { StartTime = midnight.AddHours(-3).ToTimestamp(), EndTime = midnight.AddHours(-1).ToTimestamp(), OverlapPolicy = ScheduleOverlapPolicy.AllowAll } },
        }, midnight);
        Assert.Equal([21, 22, 23], live.Advance(midnight).Starts.Select(start => start.Nominal.Hour));
    }

    [Fact]
    public void Patch_BackfillOfABuffer_RunsOneAfterTheOther()
    {
        var live = Hourly();
        live.Patch(new()
        {
            BackfillRequest = { new BackfillRequest { StartTime = midnight.AddHours(-3).ToTimestamp(), EndTime = midnight.AddHours(-1).ToTimestamp(), OverlapPolicy = ScheduleOverlapPolicy.BufferAll } },
        }, midnight);
        foreach (var hour in (int[])[21, 22, 23])
        {
            Assert.Equal($"{hour}", Starts(live, live.Advance(midnight)));
            Assert.Equal("", Starts(live, live.Advance(midnight)));
            live.Closed($"report-2025-12-31T{hour}:00:00Z", WorkflowExecutionStatus.Completed, result: null, failure: null);
        }
        Assert.Equal("", Starts(live, live.Advance(midnight)));
    }

    [Fact]
    public void Update_BetweenTimes_CountsFromNowAndRefusesAnOldToken()
    {
        var live = Hourly();
        var token = live.State.ConflictToken;
        Assert.True(live.Update(Schedule("*/10 * * * *"), token, midnight.AddMinutes(35)));
        Assert.Equal(midnight.AddMinutes(40), live.Advance(midnight.AddMinutes(35)).WakeAt);
        Assert.False(live.Update(Schedule("* * * * *"), token, midnight.AddMinutes(36)));
        Assert.Throws<ScheduleException>(() => live.Update(Schedule("nonsense"), 0, midnight.AddMinutes(36)));
        Assert.Equal(midnight.AddMinutes(40), live.Advance(midnight.AddMinutes(36)).WakeAt);
    }

    [Fact]
    public void State_WrittenAndRead_GoesOnWhereItWas()
    {
        var live = Hourly(schedule => schedule.Policies.OverlapPolicy = ScheduleOverlapPolicy.BufferAll);
        Starts(live, live.Advance(midnight.AddHours(1)));
        live.Advance(midnight.AddHours(3));
        live = new("schedule", ScheduleState.Read(live.State.Write()));
        Assert.Equal([midnight.AddHours(2), midnight.AddHours(3)], live.State.Buffer.Select(start => start.Nominal));
        live.Closed("report-2026-01-01T01:00:00Z", WorkflowExecutionStatus.Completed, new Payloads(), failure: null);
        Assert.Equal("2", Starts(live, live.Advance(midnight.AddHours(3))));
        Assert.Equal(new Payloads(), live.State.LastResult);
        Assert.Equal(2, live.State.Info.ActionCount);
    }

    [Fact]
    public void Describe_Limited_NamesNoMoreTimesThanActions()
    {
        var live = Hourly(schedule => schedule.State = new() { LimitedActions = true, RemainingActions = 3 });
        Assert.Equal([1, 2, 3], live.Describe().Info.FutureActionTimes.Select(time => time.ToDateTimeOffset().Hour));
        Assert.Equal(10, Hourly().Describe().Info.FutureActionTimes.Count);
    }

    private static LiveSchedule Hourly(Action<Schedule>? change = null)
    {
        var schedule = Schedule("0 * * * *");
        change?.Invoke(schedule);
        return LiveSchedule.Create("schedule", schedule, midnight);
    }

    private static Schedule Schedule(string cron) => new()
    {
        Spec = new() { CronString = { cron } },
        Action = new() { StartWorkflow = new() { WorkflowId = "report" } },
        Policies = new(),
    };

    /// <summary>Does the starts of a step; their hours.</summary>
    private static string Starts(LiveSchedule live, ScheduleStep step)
    {
        foreach (var start in step.Starts) live.Started(start, new() { WorkflowId = start.WorkflowId, RunId = "run" }, start.Actual);
        return string.Join(',', step.Starts.Select(start => start.Nominal.Hour.ToString(CultureInfo.InvariantCulture)));
    }
}
