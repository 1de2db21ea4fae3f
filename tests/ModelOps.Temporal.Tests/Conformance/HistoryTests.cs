using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace ModelOps.Temporal.Tests.Conformance;

public sealed class HistoryTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Fetch_InPages_IsTheWholeHistoryBothWays()
    {
        var handle = await Client.StartWorkflowAsync((ManyTimers w) => w.RunAsync(30), Options());
        await handle.GetResultAsync();
        var whole = (await handle.FetchHistoryAsync()).Events.ToList();
        Assert.Equal(Enumerable.Range(1, whole.Count).Select(id => (long)id), whole.Select(e => e.EventId));
        var forward = new List<HistoryEvent>();
        var request = new GetWorkflowExecutionHistoryRequest { Namespace = Service.Namespace, Execution = new() { WorkflowId = handle.Id }, MaximumPageSize = 7 };
        do
        {
            var page = await Client.WorkflowService.GetWorkflowExecutionHistoryAsync(request);
            Assert.InRange(page.History.Events.Count, 0, 7);
            forward.AddRange(page.History.Events);
            request.NextPageToken = page.NextPageToken;
        }
        while (!request.NextPageToken.IsEmpty);
        Assert.Equal(whole, forward);

        var backward = new List<HistoryEvent>();
        var reverse = new GetWorkflowExecutionHistoryReverseRequest { Namespace = Service.Namespace, Execution = new() { WorkflowId = handle.Id }, MaximumPageSize = 7 };
        do
        {
            var page = await Client.WorkflowService.GetWorkflowExecutionHistoryReverseAsync(reverse);
            backward.AddRange(page.History.Events);
            reverse.NextPageToken = page.NextPageToken;
        }
        while (!reverse.NextPageToken.IsEmpty);
        backward.Reverse();
        Assert.Equal(whole, backward);
    }

    [Fact(Timeout = Timeout)]
    public async Task Poll_NewEvents_ComeWhenTheyHappen()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Equal(0, await handle.QueryAsync(w => w.Count()));
        var poll = PollAsync(handle, HistoryEventFilterType.AllEvent);
        await handle.SignalAsync(w => w.AddAsync("a"));
        await handle.SignalAsync(w => w.FinishAsync());
        var seen = await poll.WaitAsync(Cancel);
        Assert.Equal(await EventsAsync(handle), seen);
        Assert.Equal(EventType.WorkflowExecutionCompleted, seen[^1]);
    }

    [Fact(Timeout = Timeout)]
    public async Task Poll_CloseEvent_WaitsForItAlone()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var poll = PollAsync(handle, HistoryEventFilterType.CloseEvent);
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal(EventType.WorkflowExecutionCompleted, Assert.Single(await poll.WaitAsync(Cancel)));
    }

    [Fact(Timeout = Timeout)]
    public async Task Reset_ToTheFirstTask_RunsAgainWithTheSignals()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        await handle.SignalAsync(w => w.AddAsync("kept"));
        Assert.Equal(7, await handle.ExecuteUpdateAsync(w => w.AddSlowlyAsync(7)));
        var reset = await Client.WorkflowService.ResetWorkflowExecutionAsync(new()
        {
            Namespace = Service.Namespace,
            WorkflowExecution = new() { WorkflowId = handle.Id, RunId = handle.ResultRunId },
            Reason = "a test",
            RequestId = Guid.NewGuid().ToString(),
            WorkflowTaskFinishEventId = 4,
        });
        Assert.NotEqual(handle.ResultRunId, reset.RunId);
        Replay(handle.Id, reset.RunId);
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await Client.GetWorkflowHandle(handle.Id, handle.ResultRunId).DescribeAsync()).Status);
        var again = Client.GetWorkflowHandle<Listener, string>(handle.Id, reset.RunId);
        await again.SignalAsync(w => w.FinishAsync());
        Assert.Equal("kept", await again.GetResultAsync());
        Assert.Contains((await again.FetchHistoryAsync()).Events, e => e.WorkflowTaskFailedEventAttributes?.Cause == WorkflowTaskFailedCause.ResetWorkflow);
    }

    [Fact(Timeout = Timeout)]
    public async Task Reset_ClosedWorkflow_RunsAgain()
    {
        var handle = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("x"), Options());
        await handle.GetResultAsync();
        var reset = await Client.WorkflowService.ResetWorkflowExecutionAsync(new()
        {
            Namespace = Service.Namespace,
            WorkflowExecution = new() { WorkflowId = handle.Id },
            RequestId = Guid.NewGuid().ToString(),
            WorkflowTaskFinishEventId = 4,
        });
        Replay(handle.Id, reset.RunId);
        Assert.Equal("hello x", await Client.GetWorkflowHandle(handle.Id, reset.RunId).GetResultAsync<string>());
    }

    [Fact(Timeout = Timeout)]
    public async Task Delete_Closed_IsNotFoundAfterwards()
    {
        var handle = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("x"), Options());
        await handle.GetResultAsync();
        await Client.WorkflowService.DeleteWorkflowExecutionAsync(new() { Namespace = Service.Namespace, WorkflowExecution = new() { WorkflowId = handle.Id, RunId = handle.ResultRunId } });
        await EventuallyAsync(async () =>
        {
            try
            {
                await handle.DescribeAsync();
                return false;
            }
            catch (RpcException e) when (e.Code == RpcException.StatusCode.NotFound)
            {
                return true;
            }
        });
        await EventuallyAsync(async () => (await Client.CountWorkflowsAsync($"WorkflowId = '{handle.Id}'")).Count == 0);
    }

    [Fact(Timeout = Timeout)]
    public async Task Describe_PendingChild_IsListed()
    {
        var handle = await Client.StartWorkflowAsync((RunsChild w) => w.RunAsync("wait"), Options());
        await EventuallyAsync(async () => (await DescribeAsync(handle)).PendingChildren is [{ RunId.Length: > 0 }]);
        var child = Assert.Single((await DescribeAsync(handle)).PendingChildren);
        Assert.Equal(($"{handle.Id}-child", "Listener", ParentClosePolicy.Terminate), (child.WorkflowId, child.WorkflowTypeName, child.ParentClosePolicy));
        await handle.TerminateAsync();
    }

    private static async Task<List<EventType>> PollAsync(WorkflowHandle handle, HistoryEventFilterType filter) =>
        await handle.FetchHistoryEventsAsync(new() { WaitNewEvent = true, EventFilterType = filter }).Select(e => e.EventType).ToListAsync(Cancel);
}
