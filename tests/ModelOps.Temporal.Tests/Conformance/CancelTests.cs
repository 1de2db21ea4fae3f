using Temporalio.Api.Enums.V1;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace ModelOps.Temporal.Tests.Conformance;

/// <summary>Cancel, terminate, continue-as-new.</summary>
public sealed class CancelTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Cancel_WaitingWorkflow_IsCanceled()
    {
        var handle = await Client.StartWorkflowAsync((Sleeper w) => w.RunAsync(60_000), Options());
        await handle.CancelAsync();
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.IsType<CanceledFailureException>(failure.InnerException);
        Assert.Equal(WorkflowExecutionStatus.Canceled, (await handle.DescribeAsync()).Status);
        Assert.Contains(EventType.WorkflowExecutionCancelRequested, await EventsAsync(handle));
    }

    [Fact(Timeout = Timeout)]
    public async Task Cancel_Twice_IsOneRequest()
    {
        var handle = await Client.StartWorkflowAsync((IgnoresCancel w) => w.RunAsync(), Options());
        await handle.CancelAsync();
        await handle.CancelAsync();
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal("finished, cancel requested: True", await handle.GetResultAsync());
        Assert.Equal(1, (await EventsAsync(handle)).Count(e => e == EventType.WorkflowExecutionCancelRequested));
    }

    [Fact(Timeout = Timeout)]
    public async Task Cancel_BeforeAWorkerComes_IsCanceled()
    {
        await StopWorkerAsync();
        var handle = await Client.StartWorkflowAsync((Sleeper w) => w.RunAsync(60_000), Options());
        await handle.CancelAsync();
        StartWorker();
        await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.Equal(WorkflowExecutionStatus.Canceled, (await handle.DescribeAsync()).Status);
    }

    [Theory(Timeout = Timeout)]
    [InlineData(ActivityCancellationType.WaitCancellationCompleted, "throw", "canceled")]
    [InlineData(ActivityCancellationType.WaitCancellationCompleted, "complete", "completed all the same")]
    [InlineData(ActivityCancellationType.WaitCancellationCompleted, "fail", "failed: failed in cleanup")]
    [InlineData(ActivityCancellationType.TryCancel, "throw", "canceled")]
    [InlineData(ActivityCancellationType.Abandon, "throw", "canceled")]
    public async Task Cancel_RunningActivity_FollowsItsCancellationType(ActivityCancellationType type, string activity, string result)
    {
        var handle = await Client.StartWorkflowAsync((CancelsActivity w) => w.RunAsync(type, activity), Options());
        await Activities.Gate($"{handle.Id} entered").Task.WaitAsync(Cancel);
        await handle.CancelAsync();
        Assert.Equal($"{result}, cleaned up", await handle.GetResultAsync());
        var events = await EventsAsync(handle);
        Assert.Equal(type != ActivityCancellationType.Abandon, events.Contains(EventType.ActivityTaskCancelRequested));
    }

    [Fact(Timeout = Timeout)]
    public async Task Cancel_ActivityThatNobodyHasTaken_IsCanceledAtOnce()
    {
        var handle = await Client.StartWorkflowAsync((CancelsUntakenActivity w) => w.RunAsync(), Options());
        Assert.Equal("canceled", await handle.GetResultAsync());
        Assert.Contains(EventType.ActivityTaskCanceled, await EventsAsync(handle));
    }

    [Fact(Timeout = Timeout)]
    public async Task Terminate_Running_EndsItWithTheReason()
    {
        var handle = await Client.StartWorkflowAsync((Sleeper w) => w.RunAsync(60_000), Options());
        await handle.TerminateAsync("enough", new() { Details = ["detail"] });
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.Equal("enough", Assert.IsType<TerminatedFailureException>(failure.InnerException).Message);
        var last = (await handle.FetchHistoryAsync()).Events.Last().WorkflowExecutionTerminatedEventAttributes;
        Assert.Equal(("enough", 1), (last.Reason, last.Details.Payloads_.Count));
        foreach (var call in (Func<Task>[])[() => handle.TerminateAsync(), () => handle.CancelAsync()])
            Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(call)).Code);
    }

    [Fact(Timeout = Timeout)]
    public async Task ContinueAsNew_Chain_GivesTheLastResultAndKeepsTheMemo()
    {
        var handle = await Client.StartWorkflowAsync((Continues w) => w.RunAsync(3, 0), new(NewId(), Queue) { Memo = new Dictionary<string, object> { ["owner"] = "ada" } });
        Assert.Equal("3 runs", await handle.GetResultAsync());
        var last = await Client.GetWorkflowHandle(handle.Id).DescribeAsync();
        Assert.NotEqual(handle.ResultRunId, last.RunId);
        Assert.Equal("ada", await last.Memo["owner"].ToValueAsync<string>());
        var started = (await Client.GetWorkflowHandle(handle.Id).FetchHistoryAsync()).Events.First().WorkflowExecutionStartedEventAttributes;
        Assert.Equal(handle.ResultRunId, started.FirstExecutionRunId);
        Assert.Equal(ContinueAsNewInitiator.Workflow, started.Initiator);
        var first = Client.GetWorkflowHandle(handle.Id, handle.ResultRunId);
        Assert.Equal(WorkflowExecutionStatus.ContinuedAsNew, (await first.DescribeAsync()).Status);
    }

    [Fact(Timeout = Timeout)]
    public async Task ContinueAsNew_SignalsKeepComing_NoneIsLost()
    {
        var handle = await Client.StartWorkflowAsync((CountsSignals w) => w.RunAsync(0), Options());
        var chain = Client.GetWorkflowHandle<CountsSignals, int>(handle.Id);
        for (var i = 0; i < 40; i++) await chain.SignalAsync(w => w.CountAsync());
        await chain.SignalAsync(w => w.FinishAsync());
        Assert.Equal(40, await handle.GetResultAsync());
    }
}

[Workflow]
public class Sleeper
{
    [WorkflowRun]
    public async Task<string> RunAsync(int milliseconds)
    {
        await Workflow.DelayAsync(milliseconds);
        return "awake";
    }
}

[Workflow]
public class IgnoresCancel
{
    private bool finished;

    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        await Workflow.WaitConditionAsync(() => finished, CancellationToken.None);
        return $"finished, cancel requested: {Workflow.CancellationToken.IsCancellationRequested}";
    }

    [WorkflowSignal]
    public Task FinishAsync()
    {
        finished = true;
        return Task.CompletedTask;
    }
}

[Workflow]
public class CancelsActivity
{
    [WorkflowRun]
    public async Task<string> RunAsync(ActivityCancellationType type, string activity)
    {
        string result;
        try
        {
            result = await Workflow.ExecuteActivityAsync(() => Activities.HeartbeatUntilCanceled(activity), new()
            {
                StartToCloseTimeout = TimeSpan.FromSeconds(20),
                HeartbeatTimeout = TimeSpan.FromSeconds(1),
                CancellationType = type,
            });
        }
        catch (Exception e) when (TemporalException.IsCanceledException(e))
        {
            result = "canceled";
        }
        catch (ActivityFailureException e)
        {
            result = $"failed: {e.InnerException!.Message}";
        }
        await Workflow.ExecuteActivityAsync(() => Activities.Hello("cleanup"), new() { StartToCloseTimeout = TimeSpan.FromSeconds(20), CancellationToken = CancellationToken.None });
        return $"{result}, cleaned up";
    }
}

[Workflow]
public class CancelsUntakenActivity
{
    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        using var cancel = new CancellationTokenSource();
        var activity = Workflow.ExecuteActivityAsync(() => Activities.Hello("nobody"), new()
        {
            TaskQueue = "a queue without workers",
            StartToCloseTimeout = TimeSpan.FromSeconds(20),
            CancellationType = ActivityCancellationType.WaitCancellationCompleted,
            CancellationToken = cancel.Token,
        });
        await Workflow.DelayAsync(20);
        await cancel.CancelAsync();
        try
        {
            return await activity;
        }
        catch (ActivityFailureException e) when (TemporalException.IsCanceledException(e))
        {
            return "canceled";
        }
    }
}

[Workflow]
public class Continues
{
    [WorkflowRun]
    public async Task<string> RunAsync(int runs, int done)
    {
        await Workflow.DelayAsync(1);
        return done == runs ? $"{done} runs" : throw Workflow.CreateContinueAsNewException((Continues w) => w.RunAsync(runs, done + 1));
    }
}

/// <summary>Goes on as a new run after every third signal.</summary>
[Workflow]
public class CountsSignals
{
    private int count;
    private int heard;
    private bool finished;

    [WorkflowRun]
    public async Task<int> RunAsync(int before)
    {
        count += before;
        await Workflow.WaitConditionAsync(() => finished || heard >= 3);
        return finished ? count : throw Workflow.CreateContinueAsNewException((CountsSignals w) => w.RunAsync(count));
    }

    [WorkflowSignal]
    public Task CountAsync()
    {
        count++;
        heard++;
        return Task.CompletedTask;
    }

    [WorkflowSignal]
    public Task FinishAsync()
    {
        finished = true;
        return Task.CompletedTask;
    }
}
