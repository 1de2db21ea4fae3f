using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Workflows;
using ParentClosePolicy = Temporalio.Workflows.ParentClosePolicy;

namespace ModelOps.Temporal.Tests.Conformance;

/// <summary>Children, and signals and cancellations from one workflow to another.</summary>
public sealed class ChildTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Child_Completes_ParentHasTheResult()
    {
        var handle = await Client.StartWorkflowAsync((RunsChild w) => w.RunAsync("result"), Options());
        Assert.Equal("hello child", await handle.GetResultAsync());
        var events = await EventsAsync(handle);
        Assert.Equal(
            [EventType.StartChildWorkflowExecutionInitiated, EventType.ChildWorkflowExecutionStarted, EventType.ChildWorkflowExecutionCompleted],
            events.Where(e => e is EventType.StartChildWorkflowExecutionInitiated or EventType.ChildWorkflowExecutionStarted or EventType.ChildWorkflowExecutionCompleted));
        var child = (await DescribeAsync(Client.GetWorkflowHandle($"{handle.Id}-child"))).WorkflowExecutionInfo;
        Assert.Equal((handle.Id, handle.ResultRunId), (child.ParentExecution.WorkflowId, child.ParentExecution.RunId));
        Assert.Equal((handle.Id, handle.ResultRunId), (child.RootExecution.WorkflowId, child.RootExecution.RunId));
    }

    [Theory(Timeout = Timeout)]
    [InlineData("failure", "ApplicationFailureException no luck")]
    [InlineData("timeout", "TimeoutFailureException")]
    [InlineData("terminate", "TerminatedFailureException")]
    [InlineData("cancel", "CanceledFailureException")]
    [InlineData("taken", "WorkflowAlreadyStartedException")]
    [InlineData("continued", "2 runs")]
    public async Task Child_EndsInAnyWay_ParentIsTold(string way, string result)
    {
        var handle = await Client.StartWorkflowAsync((RunsChild w) => w.RunAsync(way), Options());
        Assert.StartsWith(result, await handle.GetResultAsync(), StringComparison.Ordinal);
    }

    [Theory(Timeout = Timeout)]
    [InlineData(ParentClosePolicy.Terminate, WorkflowExecutionStatus.Terminated)]
    [InlineData(ParentClosePolicy.RequestCancel, WorkflowExecutionStatus.Canceled)]
    [InlineData(ParentClosePolicy.Abandon, WorkflowExecutionStatus.Running)]
    public async Task Parent_Closes_ChildFollowsItsPolicy(ParentClosePolicy policy, WorkflowExecutionStatus status)
    {
        var handle = await Client.StartWorkflowAsync((LeavesChild w) => w.RunAsync(policy), Options());
        await handle.GetResultAsync();
        var child = Client.GetWorkflowHandle($"{handle.Id}-child");
        await EventuallyAsync(async () => (await child.DescribeAsync()).Status == status);
        if (status == WorkflowExecutionStatus.Running) await child.TerminateAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task Parent_IsTerminated_ChildFollowsItsPolicy()
    {
        var handle = await Client.StartWorkflowAsync((RunsChild w) => w.RunAsync("wait"), Options());
        var child = Client.GetWorkflowHandle($"{handle.Id}-child");
        await EventuallyAsync(async () => (await EventsAsync(handle)).Contains(EventType.ChildWorkflowExecutionStarted));
        await handle.TerminateAsync();
        await EventuallyAsync(async () => (await child.DescribeAsync()).Status == WorkflowExecutionStatus.Terminated);
    }

    [Fact(Timeout = Timeout)]
    public async Task External_SignalAndCancel_ReachTheOther()
    {
        var other = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var sleeper = await Client.StartWorkflowAsync((Sleeper w) => w.RunAsync(60_000), Options());
        Assert.Equal("done", await Client.ExecuteWorkflowAsync((ReachesOthers w) => w.RunAsync(other.Id, sleeper.Id), Options()));
        Assert.Equal("from outside", await other.GetResultAsync());
        await Assert.ThrowsAsync<WorkflowFailedException>(() => sleeper.GetResultAsync());
        Assert.Equal(WorkflowExecutionStatus.Canceled, (await sleeper.DescribeAsync()).Status);
    }

    [Fact(Timeout = Timeout)]
    public async Task External_NoSuchWorkflow_FailsInTheWorkflow()
    {
        var handle = await Client.StartWorkflowAsync((ReachesNobody w) => w.RunAsync(NewId()), Options());
        Assert.Equal("both failed", await handle.GetResultAsync());
        var events = await EventsAsync(handle);
        Assert.Contains(EventType.SignalExternalWorkflowExecutionFailed, events);
        Assert.Contains(EventType.RequestCancelExternalWorkflowExecutionFailed, events);
    }

    [Fact(Timeout = Timeout)]
    public async Task Child_ManyAtOnce_AllComeBack() =>
        Assert.Equal(45, await Client.ExecuteWorkflowAsync((FansOut w) => w.RunAsync(10), Options()));
}

[Workflow]
public class RunsChild
{
    [WorkflowRun]
    public async Task<string> RunAsync(string way)
    {
        var options = new ChildWorkflowOptions { Id = $"{Workflow.Info.WorkflowId}-child", RetryPolicy = new() { MaximumAttempts = 1 } };
        try
        {
            switch (way)
            {
                case "failure":
                    await Workflow.ExecuteChildWorkflowAsync((Failing w) => w.RunAsync("Child"), options);
                    return "no failure";
                case "timeout":
                    options.RunTimeout = TimeSpan.FromSeconds(1);
                    return await Workflow.ExecuteChildWorkflowAsync((Listener w) => w.RunAsync(), options);
                case "terminate" or "wait":
                    var child = await Workflow.StartChildWorkflowAsync((Listener w) => w.RunAsync(), options);
                    if (way == "terminate") await Workflow.ExecuteActivityAsync(() => Activities.Terminate(child.Id), new() { StartToCloseTimeout = TimeSpan.FromSeconds(20) });
                    return await child.GetResultAsync();
                case "cancel":
                    using (var cancel = new CancellationTokenSource())
                    {
                        options.CancellationToken = cancel.Token;
                        var sleeper = await Workflow.StartChildWorkflowAsync((Sleeper w) => w.RunAsync(60_000), options);
                        await cancel.CancelAsync();
                        return await sleeper.GetResultAsync();
                    }
                case "taken":
                    options.Id = Workflow.Info.WorkflowId;
                    return await Workflow.ExecuteChildWorkflowAsync((OneActivity w) => w.RunAsync("child"), options);
                case "continued":
                    return await Workflow.ExecuteChildWorkflowAsync((Continues w) => w.RunAsync(2, 0), options);
                default:
                    return await Workflow.ExecuteChildWorkflowAsync((OneActivity w) => w.RunAsync("child"), options);
            }
        }
        catch (ChildWorkflowFailureException e)
        {
            return $"{e.InnerException!.GetType().Name} {e.InnerException.Message}";
        }
        catch (WorkflowAlreadyStartedException e)
        {
            return e.GetType().Name;
        }
    }
}

[Workflow]
public class LeavesChild
{
    [WorkflowRun]
    public async Task RunAsync(ParentClosePolicy policy) =>
        await Workflow.StartChildWorkflowAsync((Sleeper w) => w.RunAsync(60_000), new() { Id = $"{Workflow.Info.WorkflowId}-child", ParentClosePolicy = policy });
}

[Workflow]
public class ReachesOthers
{
    [WorkflowRun]
    public async Task<string> RunAsync(string listener, string sleeper)
    {
        var other = Workflow.GetExternalWorkflowHandle<Listener>(listener);
        await other.SignalAsync(w => w.AddAsync("from outside"));
        await other.SignalAsync(w => w.FinishAsync());
        await Workflow.GetExternalWorkflowHandle(sleeper).CancelAsync();
        return "done";
    }
}

[Workflow]
public class ReachesNobody
{
    [WorkflowRun]
    public async Task<string> RunAsync(string nobody)
    {
        var other = Workflow.GetExternalWorkflowHandle<Listener>(nobody);
        await FailsAsync(() => other.SignalAsync(w => w.FinishAsync()));
        await FailsAsync(() => other.CancelAsync());
        return "both failed";

        static async Task FailsAsync(Func<Task> call)
        {
            try
            {
                await call();
            }
            catch (ApplicationFailureException)
            {
                return;
            }
            throw new ApplicationFailureException("it did not fail", nonRetryable: true);
        }
    }
}

[Workflow]
public class FansOut
{
    [WorkflowRun]
    public async Task<int> RunAsync(int children)
    {
        var results = await Workflow.WhenAllAsync(Enumerable.Range(0, children).Select(i => Workflow.ExecuteChildWorkflowAsync((Returns w) => w.RunAsync(i))));
        return results.Sum();
    }
}

[Workflow]
public class Returns
{
    [WorkflowRun]
    public Task<int> RunAsync(int value) => Task.FromResult(value);
}
