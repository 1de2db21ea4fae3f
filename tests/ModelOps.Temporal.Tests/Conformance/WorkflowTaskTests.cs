using System.Collections.Concurrent;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace ModelOps.Temporal.Tests.Conformance;

/// <summary>What a workflow does between its messages: timers, markers, attributes; and what happens when its task fails or is lost.</summary>
public sealed class WorkflowTaskTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Timers_OfAllLengths_FireInOrderAndCanBeCanceled()
    {
        var handle = await Client.StartWorkflowAsync((Timers w) => w.RunAsync(), Options());
        Assert.Equal("1,100,300 then canceled", await handle.GetResultAsync());
        var events = (await handle.FetchHistoryAsync()).Events.ToList();
        foreach (var fired in events.Where(e => e.EventType == EventType.TimerFired))
        {
            var started = events[(int)fired.TimerFiredEventAttributes.StartedEventId - 1];
            Assert.True(fired.EventTime.ToDateTime() - started.EventTime.ToDateTime() >= started.TimerStartedEventAttributes.StartToFireTimeout.ToTimeSpan());
        }
        Assert.Contains(events, e => e.EventType == EventType.TimerCanceled);
    }

    [Fact(Timeout = Timeout)]
    public async Task Patches_NewWorkflow_AreMarkersAndAnAttribute()
    {
        var handle = await Client.StartWorkflowAsync((Patches w) => w.RunAsync(), Options());
        Assert.Equal("patched", await handle.GetResultAsync());
        var events = await EventsAsync(handle);
        Assert.Contains(EventType.MarkerRecorded, events);
        Assert.Contains(EventType.UpsertWorkflowSearchAttributes, events);
    }

    [Fact(Timeout = Timeout)]
    public async Task Upserts_MemoAndAttributes_AreDescribed()
    {
        var handle = await Client.StartWorkflowAsync((Upserts w) => w.RunAsync(), new(NewId(), Queue)
        {
            Memo = new Dictionary<string, object> { ["kept"] = "k", ["removed"] = "r" },
            TypedSearchAttributes = new SearchAttributeCollection.Builder().Set(Upserts.Keyword, "before").Set(Upserts.Number, 1).ToSearchAttributeCollection(),
        });
        Assert.Equal("before 1", await handle.GetResultAsync());
        var description = await handle.DescribeAsync();
        Assert.Equal(["added", "kept"], description.Memo.Keys.Order());
        Assert.Equal("after", description.TypedSearchAttributes.Get(Upserts.Keyword));
        Assert.False(description.TypedSearchAttributes.ContainsKey(Upserts.Number));
    }

    [Fact(Timeout = Timeout)]
    public async Task Task_FailsThreeTimes_IsTriedUntilItSucceeds()
    {
        var handle = await Client.StartWorkflowAsync((FailsItsTask w) => w.RunAsync(), Options());
        Assert.Equal("recovered", await handle.GetResultAsync());
        var events = await EventsAsync(handle);
        // Attempts after the first leave no events of their own.
        Assert.Equal(1, events.Count(e => e == EventType.WorkflowTaskFailed));
        DoNotReplay(handle.Id);
    }

    [Fact(Timeout = Timeout)]
    public async Task Task_IsLost_TimesOutAndIsGivenAgain()
    {
        await StopWorkerAsync();
        var handle = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("x"), new(NewId(), Queue) { TaskTimeout = TimeSpan.FromSeconds(1) });
        var lost = await PollAsync();
        Assert.Equal((handle.Id, 1, "OneActivity"), (lost.WorkflowExecution.WorkflowId, lost.Attempt, lost.WorkflowType.Name));
        StartWorker();
        Assert.Equal("hello x", await handle.GetResultAsync());
        Assert.Contains(EventType.WorkflowTaskTimedOut, await EventsAsync(handle));
        var late = await Assert.ThrowsAsync<RpcException>(() => Client.WorkflowService.RespondWorkflowTaskCompletedAsync(new() { Namespace = Service.Namespace, TaskToken = lost.TaskToken }));
        Assert.Equal(RpcException.StatusCode.NotFound, late.Code);
    }

    [Fact(Timeout = Timeout)]
    public async Task Task_WrongCommand_FailsTheTaskNotTheWorkflow()
    {
        await StopWorkerAsync();
        var handle = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("x"), Options());
        var task = await PollAsync();
        var error = await Assert.ThrowsAsync<RpcException>(() => Client.WorkflowService.RespondWorkflowTaskCompletedAsync(new()
        {
            Namespace = Service.Namespace,
            TaskToken = task.TaskToken,
            Commands = { new Temporalio.Api.Command.V1.Command { CommandType = CommandType.ScheduleActivityTask, ScheduleActivityTaskCommandAttributes = new() } },
        }));
        Assert.Equal(RpcException.StatusCode.InvalidArgument, error.Code);
        Assert.Contains(EventType.WorkflowTaskFailed, await EventsAsync(handle));
        StartWorker();
        Assert.Equal("hello x", await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Task_SignalComesBeforeTheClose_IsHandledFirst()
    {
        var handle = await Client.StartWorkflowAsync((ClosesSlowly w) => w.RunAsync(), Options());
        await Activities.Gate($"{handle.Id} entered").Task.WaitAsync(Cancel);
        await handle.SignalAsync(w => w.HearAsync());
        Activities.Gate(handle.Id).SetResult();
        Assert.Equal("heard: 1", await handle.GetResultAsync());
        var failed = Assert.Single((await handle.FetchHistoryAsync()).Events, e => e.EventType == EventType.WorkflowTaskFailed);
        Assert.Equal(WorkflowTaskFailedCause.UnhandledCommand, failed.WorkflowTaskFailedEventAttributes.Cause);
    }

    [Fact(Timeout = Timeout)]
    public async Task Worker_StopsInTheMiddle_TheNextGoesOn()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Equal(2, await handle.ExecuteUpdateAsync(w => w.AddSlowlyAsync(2)));
        await StopWorkerAsync();
        await handle.SignalAsync(w => w.AddAsync("between"));
        StartWorker();
        Assert.Equal(5, await handle.ExecuteUpdateAsync(w => w.AddSlowlyAsync(3)));
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal("between", await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Worker_WithoutCache_GetsTheWholeHistory()
    {
        await StopWorkerAsync();
        StartWorker(options => options.MaxCachedWorkflows = 0);
        var handle = await Client.StartWorkflowAsync((ManyTimers w) => w.RunAsync(20), Options());
        Assert.Equal(20, await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Random_AndIds_AreTheSameInReplay()
    {
        var handle = await Client.StartWorkflowAsync((Randoms w) => w.RunAsync(), Options());
        var before = await handle.QueryAsync(w => w.Values());
        Assert.Equal(2, before.Distinct().Count());
        await StopWorkerAsync();
        StartWorker();
        Assert.Equal(before, await handle.QueryAsync(w => w.Values()));
        await handle.TerminateAsync();
    }

    private Task<PollWorkflowTaskQueueResponse> PollAsync() => Client.WorkflowService.PollWorkflowTaskQueueAsync(new()
    {
        Namespace = Service.Namespace,
        TaskQueue = new() { Name = Queue, Kind = TaskQueueKind.Normal },
        Identity = "a worker that gets lost",
    });
}

[Workflow]
public class Timers
{
    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        var fired = new List<int>();
        using var cancel = new CancellationTokenSource();
        var endless = Workflow.DelayAsync(TimeSpan.FromHours(1), cancel.Token);
        await Workflow.WhenAllAsync(((int[])[300, 1, 100]).Select(async milliseconds =>
        {
            await Workflow.DelayAsync(milliseconds);
            fired.Add(milliseconds);
        }));
        await cancel.CancelAsync();
        try
        {
            await endless;
        }
        catch (OperationCanceledException)
        {
            return $"{string.Join(',', fired)} then canceled";
        }
        return "not canceled";
    }
}

[Workflow]
public class Patches
{
    [WorkflowRun]
    public Task<string> RunAsync()
    {
        Workflow.DeprecatePatch("older");
        return Task.FromResult(Workflow.Patched("newer") ? "patched" : "not patched");
    }
}

[Workflow]
public class Upserts
{
    public static readonly SearchAttributeKey<string> Keyword = SearchAttributeKey.CreateKeyword("TestKeyword");
    public static readonly SearchAttributeKey<long> Number = SearchAttributeKey.CreateLong("TestInt");

    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        var before = $"{Workflow.TypedSearchAttributes.Get(Keyword)} {Workflow.TypedSearchAttributes.Get(Number)}";
        Workflow.UpsertTypedSearchAttributes(Keyword.ValueSet("after"), Number.ValueUnset());
        Workflow.UpsertMemo(MemoUpdate.ValueSet("added", "a"), MemoUpdate.ValueUnset("removed"));
        await Workflow.DelayAsync(1);
        return before;
    }
}

[Workflow]
public class FailsItsTask
{
    private static readonly ConcurrentDictionary<string, int> attempts = new();

    [WorkflowRun]
    public Task<string> RunAsync() => attempts.AddOrUpdate(Workflow.Info.RunId, 1, (_, count) => count + 1) <= 3
        ? throw new InvalidOperationException("a bug, until it is mended")
        : Task.FromResult("recovered");
}

/// <summary>Its task waits for the test to send a signal before it answers that the workflow is done.</summary>
[Workflow]
public class ClosesSlowly
{
    private int heard;

    [WorkflowRun]
    public Task<string> RunAsync()
    {
        if (heard == 0 && !Workflow.Unsafe.IsReplaying)
        {
            Activities.Gate($"{Workflow.Info.WorkflowId} entered").TrySetResult();
            Activities.Gate(Workflow.Info.WorkflowId).Task.Wait(TimeSpan.FromSeconds(20));
        }
        return Task.FromResult($"heard: {heard}");
    }

    [WorkflowSignal]
    public Task HearAsync()
    {
        heard++;
        return Task.CompletedTask;
    }
}

[Workflow]
public class ManyTimers
{
    [WorkflowRun]
    public async Task<int> RunAsync(int count)
    {
        for (var i = 0; i < count; i++) await Workflow.DelayAsync(1);
        return count;
    }
}

[Workflow]
public class Randoms
{
    private string[] values = [];

    [WorkflowRun]
    public async Task RunAsync()
    {
        values = [$"{Workflow.NewGuid()}", $"{Workflow.Random.Next()}"];
        await Workflow.WaitConditionAsync(() => false);
    }

    [WorkflowQuery]
    public string[] Values() => values;
}
