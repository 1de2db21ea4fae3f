using System.Globalization;
using ModelOps.Temporal.Tests.Conformance;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Client.Schedules;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace ModelOps.Temporal.Tests.Durability;

/// <summary>The service is killed with SIGKILL and started again on its file and port; worker and client, in this process, go on.</summary>
public sealed class DurabilityTests : IAsyncLifetime
{
    private const int Timeout = 60_000;
    private const string Queue = "durability";

    private ServiceProcess service = null!;
    private TemporalClient client = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        service = await ServiceProcess.StartNewAsync(Cancel);
        client = await service.ConnectAsync();
    }

    public ValueTask DisposeAsync() => service.DisposeAsync();

    [Fact(Timeout = Timeout)]
    public async Task Kill_AfterEveryAcknowledgement_KeepsStartsSignalsAndTheirOrder()
    {
        var handle = await client.StartWorkflowAsync((Listener w) => w.RunAsync(), NewOptions());
        for (var i = 0; i < 3; i++)
        {
            await handle.SignalAsync(w => w.AddAsync($"{i}"));
            await service.RestartAsync(Cancel);
        }
        await handle.SignalAsync(w => w.FinishAsync());
        await service.RestartAsync(Cancel);
        using var worker = Worker();
        Assert.Equal("0,1,2", await worker.ExecuteAsync(() => handle.GetResultAsync(), Cancel));
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_TimerRuns_FiresWhenItWasDue()
    {
        using var worker = Worker();
        await worker.ExecuteAsync(async () =>
        {
            var handle = await client.StartWorkflowAsync((Sleeper w) => w.RunAsync(3000), NewOptions());
            await HasEventAsync(handle, EventType.TimerStarted);
            await service.RestartAsync(Cancel);
            var restarted = DateTime.UtcNow;
            Assert.Equal("awake", await handle.GetResultAsync());
            var events = (await handle.FetchHistoryAsync()).Events;
            var (started, fired) = (Time(events, EventType.TimerStarted), Time(events, EventType.TimerFired));
            Assert.True(fired - started >= TimeSpan.FromSeconds(3), $"fired after {fired - started}");
            Assert.True(fired - restarted < TimeSpan.FromSeconds(2.9), $"began anew: fired {fired - restarted} after the restart");
        }, Cancel);
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_ActivityRuns_ItsWorkerCompletesTheSameAttempt()
    {
        using var worker = Worker();
        await worker.ExecuteAsync(async () =>
        {
            var gate = $"gate-{Guid.NewGuid():N}";
            var handle = await client.StartWorkflowAsync((WaitsForGate w) => w.RunAsync(gate), NewOptions());
            await Activities.Gate($"{gate} entered").Task.WaitAsync(Cancel);
            await service.RestartAsync(Cancel);
            Activities.Gate(gate).SetResult();
            Assert.Equal(gate, await handle.GetResultAsync());
            var started = Assert.Single((await handle.FetchHistoryAsync()).Events, e => e.EventType == EventType.ActivityTaskStarted);
            Assert.Equal(1, started.ActivityTaskStartedEventAttributes.Attempt);
        }, Cancel);
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_ActivityWaitsForItsRetry_IsTriedWhenItWasDue()
    {
        using var worker = Worker();
        await worker.ExecuteAsync(async () =>
        {
            var handle = await client.StartWorkflowAsync((RunsActivity w) => w.RunAsync("delay 3000"), NewOptions());
            await EventuallyAsync(async () => (await client.WorkflowService.DescribeWorkflowExecutionAsync(new() { Namespace = "default", Execution = new() { WorkflowId = handle.Id } }))
                .PendingActivities is [{ Attempt: 2 }]);
            await service.RestartAsync(Cancel);
            var restarted = DateTime.UtcNow;
            var milliseconds = double.Parse(await handle.GetResultAsync(), CultureInfo.InvariantCulture);
            Assert.True(milliseconds >= 3000, $"tried after {milliseconds} ms");
            var scheduled = Time((await handle.FetchHistoryAsync()).Events, EventType.ActivityTaskScheduled);
            Assert.True(scheduled.AddMilliseconds(milliseconds) - restarted < TimeSpan.FromSeconds(2.9), "the delay began anew");
        }, Cancel);
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_ChildrenRun_TheirParentHasEachResult()
    {
        using var worker = Worker();
        await worker.ExecuteAsync(async () =>
        {
            var handle = await client.StartWorkflowAsync((FansOut w) => w.RunAsync(30), NewOptions());
            await HasEventAsync(handle, EventType.ChildWorkflowExecutionStarted);
            await service.RestartAsync(Cancel);
            Assert.Equal(435, await handle.GetResultAsync());
        }, Cancel);
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_UpdateIsAccepted_CompletesAndKeepsItsOutcome()
    {
        using var worker = Worker();
        await worker.ExecuteAsync(async () =>
        {
            var handle = await client.StartWorkflowAsync((Listener w) => w.RunAsync(), NewOptions());
            var update = await handle.StartUpdateAsync(w => w.WaitForWordAsync("go"), new("waits", WorkflowUpdateStage.Accepted));
            Assert.Equal(3, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(3), new("done")));
            await service.RestartAsync(Cancel);
            await handle.SignalAsync(w => w.AddAsync("go"));
            Assert.Equal(1, await update.GetResultAsync());
            Assert.Equal(3, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(3), new("done")));
            await service.RestartAsync(Cancel);
            Assert.Equal(1, await handle.GetUpdateHandle<int>("waits").GetResultAsync());
            Assert.Equal(6, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(3), new("another")));
        }, Cancel);
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_RunTimeoutRuns_EndsTheRunWhenItWasDue()
    {
        var handle = await client.StartWorkflowAsync((Listener w) => w.RunAsync(), new(NewId(), Queue) { RunTimeout = TimeSpan.FromSeconds(3) });
        await service.RestartAsync(Cancel);
        var restarted = DateTime.UtcNow;
        await Assert.ThrowsAsync<Temporalio.Exceptions.WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.True(Time((await handle.FetchHistoryAsync()).Events, EventType.WorkflowExecutionTimedOut) - restarted < TimeSpan.FromSeconds(2.9), "the timeout began anew");
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_ScheduleExists_GoesOn()
    {
        using var worker = Worker();
        await worker.ExecuteAsync(async () =>
        {
            var id = $"schedule-{Guid.NewGuid():N}";
            var handle = await client.CreateScheduleAsync(id, new(
                ScheduleActionStartWorkflow.Create((OneActivity w) => w.RunAsync("scheduled"), new($"{id}-run", Queue)),
                new() { Intervals = [new(TimeSpan.FromSeconds(1))] }));
            await service.RestartAsync(Cancel);
            var before = (await handle.DescribeAsync()).Info.NumActions;
            await EventuallyAsync(async () => (await handle.DescribeAsync()).Info.NumActions > before);
        }, Cancel);
    }

    [Fact(Timeout = Timeout)]
    public async Task Kill_ClosedRuns_StayListedAndReadable()
    {
        using (var worker = Worker())
        {
            await worker.ExecuteAsync(async () =>
            {
                for (var i = 0; i < 5; i++) await client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync($"{i}"), NewOptions());
            }, Cancel);
        }
        await service.RestartAsync(Cancel);
        Assert.Equal(5, (await client.CountWorkflowsAsync("ExecutionStatus = 'Completed'")).Count);
        await foreach (var execution in client.ListWorkflowsAsync("WorkflowType = 'OneActivity'"))
            Assert.StartsWith("hello", await client.GetWorkflowHandle(execution.Id).GetResultAsync<string>(), StringComparison.Ordinal);
    }

    private static string NewId() => $"durable-{Guid.NewGuid():N}";

    private static WorkflowOptions NewOptions() => new(NewId(), Queue);

    private TemporalWorker Worker()
    {
        var options = new TemporalWorkerOptions(Queue) { DebugMode = true };
        foreach (var workflow in (Type[])[typeof(Listener), typeof(Sleeper), typeof(WaitsForGate), typeof(RunsActivity), typeof(FansOut), typeof(Returns), typeof(OneActivity)])
            options.AddWorkflow(workflow);
        return new(client, options.AddAllActivities(typeof(Activities), null));
    }

    private static DateTime Time(IEnumerable<Temporalio.Api.History.V1.HistoryEvent> events, EventType type) => events.First(e => e.EventType == type).EventTime.ToDateTime();

    private static Task HasEventAsync(WorkflowHandle handle, EventType type) =>
        EventuallyAsync(async () => (await handle.FetchHistoryAsync()).Events.Any(e => e.EventType == type));

    private static async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await condition()) await tick.WaitForNextTickAsync(Cancel);
    }
}

[Workflow]
public class WaitsForGate
{
    [WorkflowRun]
    public Task<string> RunAsync(string gate) => Workflow.ExecuteActivityAsync(() => Activities.WaitForGate(gate), new() { StartToCloseTimeout = TimeSpan.FromSeconds(40) });
}
