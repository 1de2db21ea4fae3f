using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Converters;
using Temporalio.Exceptions;
using Temporalio.Workflows;

namespace ModelOps.Temporal.Tests.Conformance;

public sealed class StartTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Execute_OneActivity_GivesItsResultAndTheEventsOfTheRealServer()
    {
        var handle = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("you"), Options());
        Assert.Equal("hello you", await handle.GetResultAsync());
        Assert.Equal(
            [
                EventType.WorkflowExecutionStarted, EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskCompleted,
                EventType.ActivityTaskScheduled, EventType.ActivityTaskStarted, EventType.ActivityTaskCompleted,
                EventType.WorkflowTaskScheduled, EventType.WorkflowTaskStarted, EventType.WorkflowTaskCompleted, EventType.WorkflowExecutionCompleted,
            ],
            await EventsAsync(handle));
        Assert.Equal(WorkflowExecutionStatus.Completed, (await handle.DescribeAsync()).Status);
    }

    [Fact(Timeout = Timeout)]
    public async Task Execute_Fails_GivesTheFailureWithItsTypeAndDetails()
    {
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => Client.ExecuteWorkflowAsync((Failing w) => w.RunAsync("Disk"), Options()));
        var inner = Assert.IsType<ApplicationFailureException>(failure.InnerException);
        Assert.Equal(("no luck", "Disk", true), (inner.Message, inner.ErrorType, inner.NonRetryable));
        Assert.Equal("detail", inner.Details.ElementAt<string>(0));
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_IdIsRunning_SaysWhichRun()
    {
        var first = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var error = await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(() => Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options(first.Id)));
        Assert.Equal((first.Id, first.ResultRunId), (error.WorkflowId, error.RunId));
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_ConflictPolicies_UseOrReplaceTheRunningOne()
    {
        var first = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var same = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), new(first.Id, Queue) { IdConflictPolicy = WorkflowIdConflictPolicy.UseExisting });
        Assert.Equal(first.ResultRunId, same.ResultRunId);
        var other = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), new(first.Id, Queue) { IdConflictPolicy = WorkflowIdConflictPolicy.TerminateExisting });
        Assert.NotEqual(first.ResultRunId, other.ResultRunId);
        Assert.Equal(WorkflowExecutionStatus.Terminated, (await Client.GetWorkflowHandle(first.Id, first.ResultRunId).DescribeAsync()).Status);
        Assert.Equal(other.ResultRunId, (await Client.GetWorkflowHandle(first.Id).DescribeAsync()).RunId);
    }

    [Theory(Timeout = Timeout)]
    [InlineData(WorkflowIdReusePolicy.AllowDuplicate, false, true)]
    [InlineData(WorkflowIdReusePolicy.AllowDuplicate, true, true)]
    [InlineData(WorkflowIdReusePolicy.AllowDuplicateFailedOnly, false, false)]
    [InlineData(WorkflowIdReusePolicy.AllowDuplicateFailedOnly, true, true)]
    [InlineData(WorkflowIdReusePolicy.RejectDuplicate, false, false)]
    [InlineData(WorkflowIdReusePolicy.RejectDuplicate, true, false)]
    public async Task Start_IdIsClosed_FollowsTheReusePolicy(WorkflowIdReusePolicy policy, bool failed, bool starts)
    {
        var id = NewId();
        if (failed) await Assert.ThrowsAsync<WorkflowFailedException>(() => Client.ExecuteWorkflowAsync((Failing w) => w.RunAsync("X"), Options(id)));
        else await Client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync("x"), Options(id));
        var again = () => Client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync("again"), new(id, Queue) { IdReusePolicy = policy });
        if (starts) Assert.Equal("hello again", await again());
        else await Assert.ThrowsAsync<WorkflowAlreadyStartedException>(again);
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_SameRequestTwice_IsOneRun()
    {
        var request = new StartWorkflowExecutionRequest
        {
            Namespace = Service.Namespace,
            WorkflowId = NewId(),
            WorkflowType = new() { Name = "Listener" },
            TaskQueue = new() { Name = Queue },
            RequestId = "request-1",
        };
        var first = await Client.WorkflowService.StartWorkflowExecutionAsync(request);
        var again = await Client.WorkflowService.StartWorkflowExecutionAsync(request);
        Assert.Equal(first.RunId, again.RunId);
        Replay(request.WorkflowId, first.RunId);
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_WithDelay_BeginsAfterIt()
    {
        var handle = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("late"), new(NewId(), Queue) { StartDelay = TimeSpan.FromMilliseconds(700) });
        await handle.GetResultAsync();
        var events = (await handle.FetchHistoryAsync()).Events;
        Assert.InRange((events.First(e => e.EventType == EventType.WorkflowTaskScheduled).EventTime.ToDateTime() - events.First().EventTime.ToDateTime()).TotalMilliseconds, 650, 10_000);
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_SignalsWithDelay_BeginAtOnce()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), new(NewId(), Queue) { StartDelay = TimeSpan.FromHours(1) });
        await handle.SignalAsync(w => w.FinishAsync());
        Assert.Equal("", await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_MemoAndSummary_AreDescribed()
    {
        var handle = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), new(NewId(), Queue)
        {
            Memo = new Dictionary<string, object> { ["owner"] = "ada" },
            StaticSummary = "a summary",
            ExecutionTimeout = TimeSpan.FromMinutes(3),
            RunTimeout = TimeSpan.FromMinutes(2),
            TaskTimeout = TimeSpan.FromSeconds(5),
        });
        var description = await handle.DescribeAsync();
        Assert.Equal("ada", await description.Memo["owner"].ToValueAsync<string>());
        Assert.Equal("a summary", await description.GetStaticSummaryAsync());
        var config = (await DescribeAsync(handle)).ExecutionConfig;
        Assert.Equal((180, 120, 5), (config.WorkflowExecutionTimeout.Seconds, config.WorkflowRunTimeout.Seconds, config.DefaultWorkflowTaskTimeout.Seconds));
        Assert.Equal((Queue, "Listener", WorkflowExecutionStatus.Running), (description.TaskQueue, description.WorkflowType, description.Status));
    }

    [Fact(Timeout = Timeout)]
    public async Task Handle_NoSuchWorkflow_IsNotFound()
    {
        var nobody = Client.GetWorkflowHandle<Listener>(NewId());
        foreach (var call in (Func<Task>[])[
            () => nobody.DescribeAsync(), () => nobody.SignalAsync(w => w.FinishAsync()), () => nobody.QueryAsync(w => w.Count()), () => nobody.CancelAsync(),
            () => nobody.TerminateAsync(), () => nobody.GetResultAsync(), () => nobody.FetchHistoryAsync(), () => nobody.ExecuteUpdateAsync(w => w.AddNowAsync(1))])
        {
            var error = await Assert.ThrowsAnyAsync<RpcException>(call);
            Assert.Equal(RpcException.StatusCode.NotFound, error.Code);
        }
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_RetryPolicy_RunsAgainUntilItSucceeds()
    {
        var handle = await Client.StartWorkflowAsync((SucceedsAtAttempt w) => w.RunAsync(3), new(NewId(), Queue)
        {
            RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(100), MaximumAttempts = 5 },
        });
        Assert.Equal(3, await handle.GetResultAsync());
        var first = await Client.GetWorkflowHandle(handle.Id, handle.ResultRunId).FetchHistoryAsync();
        var failed = first.Events.Last().WorkflowExecutionFailedEventAttributes;
        Assert.Equal(RetryState.InProgress, failed.RetryState);
        Assert.NotEqual("", failed.NewExecutionRunId);
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_RetryPolicyIsUsedUp_FailsWithTheLastFailure()
    {
        var handle = await Client.StartWorkflowAsync((SucceedsAtAttempt w) => w.RunAsync(3), new(NewId(), Queue)
        {
            RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(50), MaximumAttempts = 2 },
        });
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => handle.GetResultAsync());
        Assert.Equal("attempt 2", failure.InnerException!.Message);
    }

    [Theory(Timeout = Timeout)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Start_Timeout_EndsTheRun(bool execution)
    {
        var limit = TimeSpan.FromSeconds(1);
        var options = new WorkflowOptions(NewId(), Queue) { ExecutionTimeout = execution ? limit : null, RunTimeout = execution ? null : limit };
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => Client.ExecuteWorkflowAsync((Listener w) => w.RunAsync(), options));
        Assert.IsType<TimeoutFailureException>(failure.InnerException);
        Assert.Equal(WorkflowExecutionStatus.TimedOut, (await Client.GetWorkflowHandle(options.Id!).DescribeAsync()).Status);
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_Cron_RunsAgainWithTheLastResult()
    {
        var handle = await Client.StartWorkflowAsync((CronCounter w) => w.RunAsync(), new(NewId(), Queue) { CronSchedule = "@every 1s" });
        await Activities.Gate(handle.Id).Task.WaitAsync(Cancel);
        await Client.GetWorkflowHandle(handle.Id).TerminateAsync();
        var first = await Client.GetWorkflowHandle(handle.Id, handle.ResultRunId).FetchHistoryAsync();
        Assert.NotEqual("", first.Events.Last().WorkflowExecutionCompletedEventAttributes.NewExecutionRunId);
        Assert.Equal("@every 1s", first.Events.First().WorkflowExecutionStartedEventAttributes.CronSchedule);
    }
}

[Workflow]
public class OneActivity
{
    [WorkflowRun]
    public Task<string> RunAsync(string name) => Workflow.ExecuteActivityAsync(() => Activities.Hello(name), new() { StartToCloseTimeout = TimeSpan.FromSeconds(20) });
}

[Workflow]
public class Failing
{
    [WorkflowRun]
    public Task RunAsync(string type) => throw new ApplicationFailureException("no luck", type, nonRetryable: true, details: ["detail"]);
}

[Workflow]
public class SucceedsAtAttempt
{
    [WorkflowRun]
    public Task<int> RunAsync(int attempt) =>
        Workflow.Info.Attempt >= attempt ? Task.FromResult(Workflow.Info.Attempt) : throw new ApplicationFailureException($"attempt {Workflow.Info.Attempt}");
}

/// <summary>Each run gives one more than the last; the third tells the test.</summary>
[Workflow]
public class CronCounter
{
    [WorkflowRun]
    public Task<int> RunAsync()
    {
        var last = Workflow.Info.LastResult is { Count: > 0 } results ? Workflow.PayloadConverter.ToValue<int>(results.Single()) : 0;
        if (last + 1 >= 3) Activities.Gate(Workflow.Info.WorkflowId).TrySetResult();
        return Task.FromResult(last + 1);
    }
}

/// <summary>Hears signals and updates until it is told to finish.</summary>
[Workflow]
public class Listener
{
    private readonly List<string> heard = [];
    private bool finished;
    private int sum;

    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        await Workflow.WaitConditionAsync(() => finished);
        return string.Join(',', heard);
    }

    [WorkflowSignal]
    public Task AddAsync(string word)
    {
        heard.Add(word);
        return Task.CompletedTask;
    }

    [WorkflowSignal]
    public Task FinishAsync()
    {
        finished = true;
        return Task.CompletedTask;
    }

    [WorkflowQuery]
    public int Count() => heard.Count;

    [WorkflowQuery]
    public int Broken() => throw new InvalidOperationException("broken query");

    [WorkflowUpdate]
    public Task<int> AddNowAsync(int number) => Task.FromResult(sum += number);

    [WorkflowUpdateValidator(nameof(AddSlowlyAsync))]
    public void Check(int number)
    {
        if (number < 0) throw new ApplicationFailureException("negative");
    }

    [WorkflowUpdate]
    public async Task<int> AddSlowlyAsync(int number)
    {
        await Workflow.ExecuteActivityAsync(() => Activities.Hello("update"), new() { StartToCloseTimeout = TimeSpan.FromSeconds(20) });
        if (number == 13) throw new ApplicationFailureException("unlucky");
        return sum += number;
    }

    [WorkflowUpdate]
    public async Task<int> WaitForWordAsync(string word)
    {
        await Workflow.WaitConditionAsync(() => heard.Contains(word));
        return heard.Count;
    }
}
