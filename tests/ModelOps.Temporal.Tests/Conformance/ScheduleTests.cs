using Temporalio.Api.Enums.V1;
using Temporalio.Client.Schedules;
using Temporalio.Exceptions;

namespace ModelOps.Temporal.Tests.Conformance;

public sealed class ScheduleTests(TemporalService service) : ConformanceTest(service)
{
    private readonly string id = $"schedule-{Guid.NewGuid():N}";

    [Fact(Timeout = Timeout)]
    public async Task Interval_OfASecond_RunsAgainAndAgain()
    {
        var handle = await Client.CreateScheduleAsync(id, Schedule(TimeSpan.FromSeconds(1)));
        await EventuallyAsync(async () => (await handle.DescribeAsync()).Info.NumActions >= 2);
        var action = Assert.IsType<ScheduleActionExecutionStartWorkflow>((await handle.DescribeAsync()).Info.RecentActions.First().Action);
        Assert.StartsWith($"{id}-run-", action.WorkflowId, StringComparison.Ordinal);
        Assert.Equal("hello scheduled", await Client.GetWorkflowHandle(action.WorkflowId).GetResultAsync<string>());
        await handle.DeleteAsync();
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => handle.DescribeAsync())).Code);
    }

    [Fact(Timeout = Timeout)]
    public async Task Trigger_PausedSchedule_RunsOnce()
    {
        var handle = await Client.CreateScheduleAsync(id, Schedule(TimeSpan.FromDays(30), paused: true));
        Assert.True((await handle.DescribeAsync()).Schedule.State.Paused);
        await handle.TriggerAsync();
        await EventuallyAsync(async () => (await handle.DescribeAsync()).Info.NumActions == 1);
        await handle.UnpauseAsync("go on");
        var description = await handle.DescribeAsync();
        Assert.Equal((false, "go on"), (description.Schedule.State.Paused, description.Schedule.State.Note));
        await handle.PauseAsync("stop");
        Assert.True((await handle.DescribeAsync()).Schedule.State.Paused);
        await handle.DeleteAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task Backfill_Range_RunsEachOfItsTimes()
    {
        var handle = await Client.CreateScheduleAsync(id, Schedule(TimeSpan.FromHours(1), paused: true));
        var day = new DateTime(2026, 1, 1, 0, 30, 0, DateTimeKind.Utc);
        await handle.BackfillAsync([new(day, day.AddHours(3), ScheduleOverlapPolicy.AllowAll)]);
        await EventuallyAsync(async () => (await handle.DescribeAsync()).Info.NumActions == 3);
        foreach (var hour in (int[])[1, 2, 3])
            Assert.Equal("hello scheduled", await Client.GetWorkflowHandle($"{id}-run-2026-01-01T0{hour}:00:00Z").GetResultAsync<string>());
        await handle.DeleteAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_Spec_IsDescribed()
    {
        var handle = await Client.CreateScheduleAsync(id, Schedule(TimeSpan.FromDays(1)), new() { Memo = new Dictionary<string, object> { ["owner"] = "ada" } });
        await handle.UpdateAsync(input => new(input.Description.Schedule with { Spec = new() { CronExpressions = ["0 12 * * MON"] }, Policy = new() { Overlap = ScheduleOverlapPolicy.BufferOne } }));
        var description = await handle.DescribeAsync();
        var calendar = Assert.Single(description.Schedule.Spec.Calendars);
        Assert.Equal((12, 1), (calendar.Hour.Single().Start, calendar.DayOfWeek.Single().Start));
        Assert.Equal(ScheduleOverlapPolicy.BufferOne, description.Schedule.Policy.Overlap);
        Assert.All(description.Info.NextActionTimes, time => Assert.Equal((DayOfWeek.Monday, 12), (time.DayOfWeek, time.Hour)));
        Assert.Equal("ada", await description.Memo["owner"].ToValueAsync<string>());
        await handle.DeleteAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task Create_Twice_IsRefused()
    {
        var handle = await Client.CreateScheduleAsync(id, Schedule(TimeSpan.FromDays(1)));
        await Assert.ThrowsAsync<ScheduleAlreadyRunningException>(() => Client.CreateScheduleAsync(id, Schedule(TimeSpan.FromDays(1))));
        await EventuallyAsync(async () => await Client.ListSchedulesAsync().AnyAsync(schedule => schedule.Id == id));
        await handle.DeleteAsync();
        await EventuallyAsync(async () => !await Client.ListSchedulesAsync().AnyAsync(schedule => schedule.Id == id));
    }

    [Fact(Timeout = Timeout)]
    public async Task Create_WrongSpec_IsInvalidArgument()
    {
        var schedule = Schedule(TimeSpan.FromDays(1)) with { Spec = new() { CronExpressions = ["every now and then"] } };
        Assert.Equal(RpcException.StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => Client.CreateScheduleAsync(id, schedule))).Code);
    }

    [Fact(Timeout = Timeout)]
    public async Task Create_TriggerImmediately_Runs()
    {
        var handle = await Client.CreateScheduleAsync(id, Schedule(TimeSpan.FromDays(30)), new() { TriggerImmediately = true });
        await EventuallyAsync(async () => (await handle.DescribeAsync()).Info.NumActions == 1);
        await handle.DeleteAsync();
    }

    private Schedule Schedule(TimeSpan every, bool paused = false) => new(
        ScheduleActionStartWorkflow.Create((OneActivity w) => w.RunAsync("scheduled"), new($"{id}-run", Queue)),
        new() { Intervals = [new(every)] })
    {
        State = new() { Paused = paused },
    };
}
