using Google.Protobuf;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Exceptions;

namespace ModelOps.Temporal.Tests.Conformance;

/// <summary>Signals, queries and updates.</summary>
public sealed class MessageTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Signal_Many_ArriveInOrder()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        for (var i = 0; i < 20; i++) await handle.SignalAsync(w => w.AddAsync($"{i}"));
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal(string.Join(',', Enumerable.Range(0, 20)), await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Signal_WhileNoWorkerRuns_WaitsForOne()
    {
        await StopWorkerAsync();
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        await handle.SignalAsync(w => w.AddAsync("early"));
        await handle.SignalAsync(w => w.FinishAsync());
        StartWorker();
        Assert.Equal("early", await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Signal_SameRequestTwice_ArrivesOnce()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var request = new SignalWorkflowExecutionRequest
        {
            Namespace = Service.Namespace,
            WorkflowExecution = new() { WorkflowId = handle.Id },
            SignalName = "Add",
            RequestId = "signal-1",
            Input = Json("\"once\""),
        };
        await Client.WorkflowService.SignalWorkflowExecutionAsync(request);
        await Client.WorkflowService.SignalWorkflowExecutionAsync(request);
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal("once", await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Signal_Closed_IsNotFound()
    {
        var handle = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("x"), Options());
        await handle.GetResultAsync();
        var error = await Assert.ThrowsAsync<RpcException>(() => handle.SignalAsync("Any", []));
        Assert.Equal(RpcException.StatusCode.NotFound, error.Code);
    }

    [Fact(Timeout = Timeout)]
    public async Task SignalWithStart_NewAndRunning_StartsOnce()
    {
        var id = NewId();
        var runs = new List<string?>();
        foreach (var word in (string[])["first", "second"])
        {
            var options = Options(id);
            options.SignalWithStart((Listener w) => w.AddAsync(word));
            var started = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), options);
            runs.Add(started.ResultRunId ?? (await started.DescribeAsync()).RunId);
        }
        var handle = Client.GetWorkflowHandle<Listener, string>(id);
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal("first,second", await handle.GetResultAsync());
        Assert.Equal(EventType.WorkflowExecutionSignaled, (await EventsAsync(handle))[1]);
    }

    [Fact(Timeout = Timeout)]
    public async Task Query_RunningAndClosed_Answers()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Equal(0, await handle.QueryAsync(w => w.Count()));
        await handle.SignalAsync(w => w.AddAsync("a"));
        Assert.Equal(1, await handle.QueryAsync(w => w.Count()));
        await handle.SignalAsync(w => w.FinishAsync());
        await handle.GetResultAsync();
        Assert.Equal(1, await handle.QueryAsync(w => w.Count()));
        var rejected = await Assert.ThrowsAsync<WorkflowQueryRejectedException>(() => handle.QueryAsync(w => w.Count(), new() { RejectCondition = QueryRejectCondition.NotOpen }));
        Assert.Equal(WorkflowExecutionStatus.Completed, rejected.WorkflowStatus);
    }

    [Fact(Timeout = Timeout)]
    public async Task Query_Fails_SaysWhyAndHarmsNothing()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Contains("broken query", (await Assert.ThrowsAsync<WorkflowQueryFailedException>(() => handle.QueryAsync(w => w.Broken()))).Message, StringComparison.Ordinal);
        Assert.Contains("Nothing", (await Assert.ThrowsAsync<WorkflowQueryFailedException>(() => handle.QueryAsync<int>("Nothing", []))).Message, StringComparison.Ordinal);
        Assert.Equal(0, await handle.QueryAsync(w => w.Count()));
    }

    [Fact(Timeout = Timeout)]
    public async Task Query_WorkerIsAnother_IsAnsweredFromTheWholeHistory()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        await handle.SignalAsync(w => w.AddAsync("a"));
        Assert.Equal(1, await handle.QueryAsync(w => w.Count()));
        await StopWorkerAsync();
        StartWorker();
        Assert.Equal(1, await handle.QueryAsync(w => w.Count()));
        await StopWorkerAsync();
        StartWorker(options => options.MaxCachedWorkflows = 0);
        Assert.Equal(1, await handle.QueryAsync(w => w.Count()));
    }

    [Fact(Timeout = Timeout)]
    public async Task Query_ManyAtOnceWithSignals_AllAnswered()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        await Task.WhenAll(Enumerable.Range(0, 20).SelectMany(i => (Task[])[handle.SignalAsync(w => w.AddAsync($"{i}")), handle.QueryAsync(w => w.Count())]));
        Assert.Equal(20, await handle.QueryAsync(w => w.Count()));
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_QuickAndWithActivity_GivesTheResult()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Equal(5, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(5)));
        Assert.Equal(7, await handle.ExecuteUpdateAsync(w => w.AddSlowlyAsync(2)));
        var events = await EventsAsync(handle);
        Assert.Equal(2, events.Count(e => e == EventType.WorkflowExecutionUpdateAccepted));
        Assert.Equal(2, events.Count(e => e == EventType.WorkflowExecutionUpdateCompleted));
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_Rejected_LeavesNoTrace()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Equal(1, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(1)));
        var before = await EventsAsync(handle);
        var error = await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => handle.ExecuteUpdateAsync(w => w.AddSlowlyAsync(-1)));
        Assert.Equal("negative", error.InnerException!.Message);
        Assert.Equal(before, await EventsAsync(handle));
        Assert.Equal(2, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(1)));
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_HandlerFails_GivesTheFailure()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var error = await Assert.ThrowsAsync<WorkflowUpdateFailedException>(() => handle.ExecuteUpdateAsync(w => w.AddSlowlyAsync(13)));
        Assert.Equal("unlucky", error.InnerException!.Message);
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_Accepted_IsAwaitedLater()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var update = await handle.StartUpdateAsync(w => w.WaitForWordAsync("go"), new(WorkflowUpdateStage.Accepted));
        var result = handle.GetUpdateHandle<int>(update.Id).GetResultAsync();
        await handle.SignalAsync(w => w.AddAsync("go"));
        Assert.Equal(1, await result);
        Assert.Equal(1, await update.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_SameIdTwice_RunsOnce()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Equal(5, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(5), new("update-1")));
        Assert.Equal(5, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(5), new("update-1")));
        Assert.Equal(10, await handle.ExecuteUpdateAsync(w => w.AddNowAsync(5), new("update-2")));
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_ManyAtOnce_EachRunsOnce()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var sums = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => i % 2 == 0 ? handle.ExecuteUpdateAsync(w => w.AddNowAsync(1)) : handle.ExecuteUpdateAsync(w => w.AddSlowlyAsync(1))));
        Assert.Equal(Enumerable.Range(1, 20), sums.Order());
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_ClosedOrUnknown_IsNotFound()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => handle.GetUpdateHandle<int>("nothing").GetResultAsync())).Code);
        await handle.SignalAsync(w => w.FinishAsync());
        await handle.GetResultAsync();
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => handle.ExecuteUpdateAsync(w => w.AddNowAsync(1)))).Code);
    }

    [Fact(Timeout = Timeout)]
    public async Task Update_OutcomeAfterClose_IsStillThere()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var update = await handle.StartUpdateAsync(w => w.AddNowAsync(3), new(WorkflowUpdateStage.Completed));
        await handle.SignalAsync(w => w.FinishAsync());
        await handle.GetResultAsync();
        Assert.Equal(3, await handle.GetUpdateHandle<int>(update.Id).GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task UpdateWithStart_NewAndRunning_StartsOnceAndUpdatesBoth()
    {
        var id = NewId();
        foreach (var sum in (int[])[4, 8])
        {
            var start = WithStartWorkflowOperation.Create((Listener w) => w.RunAsync(), new(id, Queue) { IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting });
            Assert.Equal(sum, await Client.ExecuteUpdateWithStartWorkflowAsync((Listener w) => w.AddNowAsync(4), new(start)));
        }
        var handle = Client.GetWorkflowHandle<Listener, string>(id);
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal("", await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task UpdateWithStart_IdIsRunningAndMustNot_StartsNothing()
    {
        var running = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var start = WithStartWorkflowOperation.Create((Listener w) => w.RunAsync(), new(running.Id, Queue) { IdConflictPolicy = WorkflowIdConflictPolicy.Fail });
        await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() => Client.ExecuteUpdateWithStartWorkflowAsync((Listener w) => w.AddNowAsync(4), new(start)));
        Assert.Equal(1, await running.ExecuteUpdateAsync(w => w.AddNowAsync(1)));
    }

    internal static Payloads Json(string value) => new()
    {
        Payloads_ = { new Payload { Metadata = { ["encoding"] = ByteString.CopyFromUtf8("json/plain") }, Data = ByteString.CopyFromUtf8(value) } },
    };
}
