using System.Collections.Concurrent;
using Temporalio.Activities;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace ModelOps.Temporal.Tests.Conformance;

public sealed class ActivityTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Fails_Retryable_IsTriedAgain()
    {
        var handle = await Client.StartWorkflowAsync((RunsActivity w) => w.RunAsync("fail until 3"), Options());
        Assert.Equal("3", await handle.GetResultAsync());
        var started = Assert.Single((await handle.FetchHistoryAsync()).Events, e => e.EventType == EventType.ActivityTaskStarted).ActivityTaskStartedEventAttributes;
        Assert.Equal((3, "attempt 2"), (started.Attempt, started.LastFailure.Message));
    }

    [Theory(Timeout = Timeout)]
    [InlineData("non-retryable failure", "NonRetryableFailure: bad input")]
    [InlineData("non-retryable type", "NonRetryableFailure: bad input")]
    [InlineData("two attempts", "MaximumAttemptsReached: attempt 2")]
    [InlineData("schedule to start", "Timeout: ScheduleToStart")]
    [InlineData("start to close", "MaximumAttemptsReached: StartToClose")]
    [InlineData("schedule to close", "Timeout: ")]
    [InlineData("heartbeat", "MaximumAttemptsReached: Heartbeat")]
    public async Task Fails_ForGood_SaysWhy(string way, string result) =>
        Assert.StartsWith(result, await Client.ExecuteWorkflowAsync((RunsActivity w) => w.RunAsync(way), Options()), StringComparison.Ordinal);

    [Fact(Timeout = Timeout)]
    public async Task Fails_NamesItsDelay_IsTriedAgainAfterIt()
    {
        var milliseconds = await Client.ExecuteWorkflowAsync((RunsActivity w) => w.RunAsync("delay 400"), Options());
        Assert.InRange(double.Parse(milliseconds, System.Globalization.CultureInfo.InvariantCulture), 390, 10_000);
    }

    [Fact(Timeout = Timeout)]
    public async Task Heartbeat_TimesOut_NextAttemptHasTheDetails() =>
        Assert.Equal("42 in attempt 2", await Client.ExecuteWorkflowAsync((RunsActivity w) => w.RunAsync("heartbeat details"), Options()));

    [Fact(Timeout = Timeout)]
    public async Task Info_OfAnActivity_SaysWhatTheWorkflowAsked() =>
        Assert.Equal("Describe 1 False RunsActivity 00:00:20 00:00:07", await Client.ExecuteWorkflowAsync((RunsActivity w) => w.RunAsync("info"), Options()));

    [Fact(Timeout = Timeout)]
    public async Task Parallel_Twenty_AllComplete() =>
        Assert.Equal("20", await Client.ExecuteWorkflowAsync((RunsActivity w) => w.RunAsync("parallel 20"), Options()));

    [Theory(Timeout = Timeout)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CompletedFromOutside_ByTokenOrId_GivesTheResult(bool byToken)
    {
        var handle = await Client.StartWorkflowAsync((RunsActivity w) => w.RunAsync("complete later"), Options());
        var activity = await OutsideHandleAsync(handle, byToken);
        await activity.HeartbeatAsync(new() { Details = ["half"] });
        var pending = Assert.Single((await DescribeAsync(handle)).PendingActivities);
        Assert.Equal("\"half\"", Assert.Single(pending.HeartbeatDetails.Payloads_).Data.ToStringUtf8());
        await activity.CompleteAsync("from outside");
        Assert.Equal("from outside", await handle.GetResultAsync());
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAnyAsync<RpcException>(() => activity.CompleteAsync("again"))).Code);
    }

    [Theory(Timeout = Timeout)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task FailedFromOutside_ByTokenOrId_Fails(bool byToken)
    {
        var handle = await Client.StartWorkflowAsync((RunsActivity w) => w.RunAsync("complete later"), Options());
        await (await OutsideHandleAsync(handle, byToken)).FailAsync(new ApplicationFailureException("outside failure", nonRetryable: true));
        Assert.Equal("NonRetryableFailure: outside failure", await handle.GetResultAsync());
    }

    [Theory(Timeout = Timeout)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CanceledFromOutside_AfterARequest_IsCanceled(bool byToken)
    {
        var handle = await Client.StartWorkflowAsync((RunsActivity w) => w.RunAsync("complete later"), Options());
        var activity = await OutsideHandleAsync(handle, byToken);
        await handle.CancelAsync();
        await EventuallyAsync(async () => (await EventsAsync(handle)).Contains(EventType.ActivityTaskCancelRequested));
        await Assert.ThrowsAsync<AsyncActivityCanceledException>(() => activity.HeartbeatAsync());
        await activity.ReportCancellationAsync();
        Assert.Equal("canceled", await handle.GetResultAsync());
    }

    [Fact(Timeout = Timeout)]
    public async Task Describe_Pending_SaysAttemptStateAndLastFailure()
    {
        var handle = await Client.StartWorkflowAsync((RunsActivity w) => w.RunAsync("fail until 1000"), Options());
        await EventuallyAsync(async () => (await DescribeAsync(handle)).PendingActivities is [{ Attempt: >= 3 }]);
        var pending = Assert.Single((await DescribeAsync(handle)).PendingActivities);
        Assert.Equal("FailUntil", pending.ActivityType.Name);
        Assert.StartsWith("attempt ", pending.LastFailure.Message, StringComparison.Ordinal);
        await handle.TerminateAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task Workflow_Closes_ItsActivityIsToldToStop()
    {
        var handle = await Client.StartWorkflowAsync((RunsActivity w) => w.RunAsync("complete later"), Options());
        var activity = await OutsideHandleAsync(handle, byToken: true);
        await handle.TerminateAsync();
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAnyAsync<RpcException>(() => activity.HeartbeatAsync())).Code);
    }

    [Fact(Timeout = Timeout)]
    public async Task Local_RetriesAndResult_AreMarkers()
    {
        var handle = await Client.StartWorkflowAsync((RunsLocalActivities w) => w.RunAsync(), Options());
        Assert.Equal("hello local 2 Describe 1 True RunsLocalActivities", await handle.GetResultAsync());
        Assert.Equal(3, (await EventsAsync(handle)).Count(e => e == EventType.MarkerRecorded));
    }

    [Fact(Timeout = Timeout)]
    public async Task Queue_OfAnother_IsServedByItsWorker()
    {
        var other = $"{Queue}-other";
        var handle = await Client.StartWorkflowAsync((RunsElsewhere w) => w.RunAsync(other), Options());
        await EventuallyAsync(async () => (await DescribeAsync(handle)).PendingActivities is [{ State: PendingActivityState.Scheduled }]);
        using var worker = new TemporalWorker(Client, new TemporalWorkerOptions(other).AddActivity(Activities.Hello));
        Assert.Equal("hello elsewhere", await worker.ExecuteAsync(() => handle.GetResultAsync(), Cancel));
    }

    /// <summary>An activity is as urgent as its workflow, unless it says otherwise.</summary>
    [Fact(Timeout = Timeout)]
    public async Task Queue_WithABacklog_GivesTheUrgentFirstThenTheOld()
    {
        if (!TemporalService.IsEmbedded) Assert.Skip("a real server orders by priority only where that is switched on");
        var other = $"{Queue}-other";
        var handles = new List<WorkflowHandle<RunsElsewhere, string>>();
        foreach (var key in (int[])[5, 3, 1, 3, 1])
        {
            var options = Options();
            options.Priority = new(key);
            handles.Add(await Client.StartWorkflowAsync((RunsElsewhere w) => w.RunAsync(other), options));
            await EventuallyAsync(async () => (await DescribeAsync(handles[^1])).PendingActivities is [{ State: PendingActivityState.Scheduled }]);
        }
        var taken = new ConcurrentQueue<(string WorkflowId, int? Key)>();
        var hello = ActivityDefinition.Create(nameof(Activities.Hello), typeof(string), [typeof(string)], 1, arguments =>
        {
            var info = ActivityExecutionContext.Current.Info;
            taken.Enqueue((info.WorkflowId!, info.Priority?.PriorityKey));
            return Activities.Hello((string)arguments[0]!);
        });
        using var worker = new TemporalWorker(Client, new TemporalWorkerOptions(other) { MaxConcurrentActivities = 1 }.AddActivity(hello));
        await worker.ExecuteAsync(() => Task.WhenAll(handles.Select(handle => handle.GetResultAsync())), Cancel);
        Assert.Equal(((int, int?)[])[(2, 1), (4, 1), (1, 3), (3, 3), (0, 5)], taken.Select(one => (handles.FindIndex(handle => handle.Id == one.WorkflowId), one.Key)));
    }

    private async Task<AsyncActivityHandle> OutsideHandleAsync(WorkflowHandle handle, bool byToken)
    {
        await Activities.Gate($"{handle.Id} entered").Task.WaitAsync(Cancel);
        return byToken ? Client.GetAsyncActivityHandle(Activities.TokenOf(handle.Id)!) : Client.GetAsyncActivityHandle(handle.Id, handle.ResultRunId!, "activity");
    }
}

/// <summary>One activity in the way that is asked for; its result as text, or how it failed.</summary>
[Workflow]
public class RunsActivity
{
    [WorkflowRun]
    public async Task<string> RunAsync(string way)
    {
        var options = new ActivityOptions { ActivityId = "activity", StartToCloseTimeout = TimeSpan.FromSeconds(20), RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(50) } };
        try
        {
            return await RunAsync(way.Split(' '), options);
        }
        catch (Exception e) when (TemporalException.IsCanceledException(e))
        {
            return "canceled";
        }
        catch (ActivityFailureException e)
        {
            return $"{e.RetryState}: {(e.InnerException is TimeoutFailureException timeout ? $"{timeout.TimeoutType}" : e.InnerException!.Message)}";
        }
    }

    private static async Task<string> RunAsync(string[] way, ActivityOptions options)
    {
        switch (way)
        {
            case ["fail", "until", var attempt]:
                var last = int.Parse(attempt, System.Globalization.CultureInfo.InvariantCulture);
                return $"{await Workflow.ExecuteActivityAsync(() => Activities.FailUntil(last), options)}";
            case ["non-retryable", "failure"]:
                await Workflow.ExecuteActivityAsync(() => Activities.FailWith("Bad", true), options);
                return "";
            case ["non-retryable", "type"]:
                options.RetryPolicy = new() { NonRetryableErrorTypes = ["Bad"] };
                await Workflow.ExecuteActivityAsync(() => Activities.FailWith("Bad", false), options);
                return "";
            case ["two", "attempts"]:
                options.RetryPolicy!.MaximumAttempts = 2;
                return $"{await Workflow.ExecuteActivityAsync(() => Activities.FailUntil(9), options)}";
            case ["delay", var delay]:
                var milliseconds = int.Parse(delay, System.Globalization.CultureInfo.InvariantCulture);
                return $"{await Workflow.ExecuteActivityAsync(() => Activities.FailWithDelay(milliseconds), options)}";
            case ["schedule", "to", "start"]:
                options.TaskQueue = "a queue without workers";
                options.ScheduleToStartTimeout = TimeSpan.FromMilliseconds(300);
                return await Workflow.ExecuteActivityAsync(() => Activities.Hello("nobody"), options);
            case ["start", "to", "close"]:
                options.StartToCloseTimeout = TimeSpan.FromMilliseconds(300);
                options.RetryPolicy!.MaximumAttempts = 2;
                await Workflow.ExecuteActivityAsync(() => Activities.Hang(), options);
                return "";
            case ["schedule", "to", "close"]:
                options.ScheduleToCloseTimeout = TimeSpan.FromMilliseconds(500);
                return $"{await Workflow.ExecuteActivityAsync(() => Activities.FailUntil(1000), options)}";
            case ["heartbeat"]:
                options.HeartbeatTimeout = TimeSpan.FromMilliseconds(300);
                options.RetryPolicy!.MaximumAttempts = 1;
                await Workflow.ExecuteActivityAsync(() => Activities.Hang(), options);
                return "";
            case ["heartbeat", "details"]:
                options.HeartbeatTimeout = TimeSpan.FromMilliseconds(500);
                return await Workflow.ExecuteActivityAsync(() => Activities.HeartbeatThenHang(), options);
            case ["complete", "later"]:
                options.CancellationType = ActivityCancellationType.WaitCancellationCompleted;
                return await Workflow.ExecuteActivityAsync(() => Activities.CompleteLater(), options);
            case ["info"]:
                options.HeartbeatTimeout = TimeSpan.FromSeconds(7);
                return await Workflow.ExecuteActivityAsync(() => Activities.Describe(), options);
            case ["parallel", var number]:
                options.ActivityId = null;
                var count = int.Parse(number, System.Globalization.CultureInfo.InvariantCulture);
                var all = await Workflow.WhenAllAsync(Enumerable.Range(0, count).Select(i => Workflow.ExecuteActivityAsync(() => Activities.Hello($"{i}"), options)));
                return $"{all.Distinct().Count()}";
            default:
                throw new ApplicationFailureException($"no such way: {string.Join(' ', way)}", nonRetryable: true);
        }
    }
}

[Workflow]
public class RunsLocalActivities
{
    [WorkflowRun]
    public async Task<string> RunAsync()
    {
        var options = new LocalActivityOptions { StartToCloseTimeout = TimeSpan.FromSeconds(20), RetryPolicy = new() { InitialInterval = TimeSpan.FromMilliseconds(20) } };
        var hello = await Workflow.ExecuteLocalActivityAsync(() => Activities.Hello("local"), options);
        var attempt = await Workflow.ExecuteLocalActivityAsync(() => Activities.FailUntil(2), options);
        var info = await Workflow.ExecuteLocalActivityAsync(() => Activities.Describe(), options);
        return $"{hello} {attempt} {string.Join(' ', info.Split(' ').Take(4))}";
    }
}

[Workflow]
public class RunsElsewhere
{
    [WorkflowRun]
    public Task<string> RunAsync(string queue) =>
        Workflow.ExecuteActivityAsync(() => Activities.Hello("elsewhere"), new() { TaskQueue = queue, StartToCloseTimeout = TimeSpan.FromSeconds(20) });
}
