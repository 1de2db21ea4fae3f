using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Temporalio.Api.Enums.V1;
using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Exceptions;
using Temporalio.Worker;

namespace ModelOps.Temporal.Tests.Durability;

/// <summary>
/// Mixed workflows while the service is killed at random, from seeds. MODELOPS_CHAOS_KILLS and MODELOPS_CHAOS_WORKFLOWS set the size: 60 and 1000 for
/// the whole, 6 and 120 by default.
/// </summary>
public sealed class ChaosTests(ITestOutputHelper output)
{
    private const string Queue = "chaos";
    private const int Driving = 40;
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<string, ConcurrentQueue<int>> acknowledged = new();
    private readonly Random random = new(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Kill_ManyTimesAmongMixedWorkflows_EachEndsAsWithoutTheKills()
    {
        var (kills, count) = (Size("MODELOPS_CHAOS_KILLS", 6), Size("MODELOPS_CHAOS_WORKFLOWS", 120));
        var clock = Stopwatch.StartNew();
        await using var service = await ServiceProcess.StartNewAsync(Cancel);
        var client = await service.ConnectAsync();
        using var worker = new TemporalWorker(client, new TemporalWorkerOptions(Queue) { DebugMode = true, MaxCachedWorkflows = 400 }
            .AddWorkflow<Mixed>().AddWorkflow<MixedChild>().AddActivity(ChaosActivities.Double));
        await worker.ExecuteAsync(async () =>
        {
            using var driving = new SemaphoreSlim(Driving);
            var drivers = new List<Task>();
            for (var kill = 0; kill < kills; kill++)
            {
                // Work of every kind is under way at each kill.
                var batch = Enumerable.Range(count * kill / kills, (count * (kill + 1) / kills) - (count * kill / kills));
                drivers.AddRange(batch.Select(seed => DriveAsync(client, seed, driving)));
                await Task.Delay(random.Next(100, 700), Cancel); // the moment is what is random, not what is waited for
                await service.RestartAsync(Cancel);
            }
            await Task.WhenAll(drivers).WaitAsync(patience, Cancel);
        }, Cancel);
        output.WriteLine($"{count} workflows and {kills} kills in {clock.Elapsed.TotalSeconds:F0} s");
        await AssertHistoriesAsync(client, count);
    }

    /// <summary>Starts one workflow, sends its signals and updates, and compares its result; a call whose answer was lost is made again with its request's id.</summary>
    private async Task DriveAsync(TemporalClient client, int seed, SemaphoreSlim driving)
    {
        await driving.WaitAsync(Cancel);
        try
        {
            var id = Id(seed);
            var plan = MixedPlan.Of(seed);
            await UntilAnsweredAsync(() => StartAsync(client, id, seed));
            var handle = client.GetWorkflowHandle<Mixed, MixedResult>(id);
            for (var i = 0; i < Math.Max(plan.Signals, plan.Updates); i++)
            {
                var number = i;
                if (i < plan.Signals)
                {
                    await UntilAnsweredAsync(() => client.WorkflowService.SignalWorkflowExecutionAsync(new()
                    {
                        Namespace = "default",
                        WorkflowExecution = new() { WorkflowId = id },
                        SignalName = "Hear",
                        RequestId = $"{id}-{number}",
                        Input = Conformance.MessageTests.Json(number.ToString(CultureInfo.InvariantCulture)),
                    }));
                    acknowledged.GetOrAdd(id, _ => new()).Enqueue(number);
                }
                if (i < plan.Updates)
                    Assert.Equal(2 * number, await UntilAnsweredAsync(() => handle.ExecuteUpdateAsync(w => w.DoubleAsync(number), new($"{id}-{number}"))));
            }
            Assert.Equal(plan.Result, await UntilAnsweredAsync(() => handle.GetResultAsync()));
        }
        finally
        {
            driving.Release();
        }
    }

    private static async Task<bool> StartAsync(TemporalClient client, string id, int seed)
    {
        try
        {
            await client.StartWorkflowAsync(
                (Mixed w) => w.RunAsync(new(seed, 0, 0, Array.Empty<int>(), Array.Empty<int>())), new(id, Queue) { IdReusePolicy = WorkflowIdReusePolicy.RejectDuplicate });
        }
        catch (WorkflowAlreadyStartedException)
        {
            // by a call before, whose answer was lost
        }
        return true;
    }

    private static async Task<T> UntilAnsweredAsync<T>(Func<Task<T>> call)
    {
        while (true)
        {
            try
            {
                return await call().WaitAsync(patience, Cancel);
            }
            catch (Exception e) when (!Cancel.IsCancellationRequested && IsLost(e))
            {
                await Task.Yield();
            }
        }
    }

    private static bool IsLost(Exception e) => e switch
    {
        RpcException rpc => rpc.Code is RpcException.StatusCode.Unavailable or RpcException.StatusCode.DeadlineExceeded or RpcException.StatusCode.Cancelled or RpcException.StatusCode.Unknown,
        WorkflowUpdateRpcTimeoutOrCanceledException => true,
        _ => false,
    };

    /// <summary>Of every run: ids without a gap, nothing completed twice, every acknowledged signal once, and all of it replays.</summary>
    private async Task AssertHistoriesAsync(TemporalClient client, int count)
    {
        var histories = new List<WorkflowHistory>();
        for (var seed = 0; seed < count; seed++)
        {
            var signals = new List<string>();
            for (var run = await FirstRunAsync(client, Id(seed)); run.Length > 0;)
            {
                var history = await client.GetWorkflowHandle(Id(seed), run).FetchHistoryAsync();
                histories.Add(history);
                var events = history.Events.ToList();
                Assert.Equal(Enumerable.Range(1, events.Count).Select(id => (long)id), events.Select(e => e.EventId));
                AssertOnce(events.Where(e => e.EventType == EventType.ActivityTaskCompleted).Select(e => e.ActivityTaskCompletedEventAttributes.ScheduledEventId));
                AssertOnce(events.Where(e => e.EventType == EventType.TimerFired).Select(e => e.TimerFiredEventAttributes.StartedEventId));
                AssertOnce(events.Where(e => e.EventType == EventType.ChildWorkflowExecutionCompleted).Select(e => e.ChildWorkflowExecutionCompletedEventAttributes.InitiatedEventId));
                signals.AddRange(events.Where(e => e.EventType == EventType.WorkflowExecutionSignaled)
                    .Select(e => e.WorkflowExecutionSignaledEventAttributes.Input.Payloads_.Single().Data.ToStringUtf8()));
                run = events[^1].WorkflowExecutionContinuedAsNewEventAttributes?.NewExecutionRunId ?? "";
            }
            AssertOnce(signals);
            Assert.Superset(acknowledged.GetValueOrDefault(Id(seed), []).Select(number => number.ToString(CultureInfo.InvariantCulture)).ToHashSet(), signals.ToHashSet());
        }
        output.WriteLine($"{histories.Count} runs, {histories.Sum(history => history.Events.Count)} events");
        var replayer = new WorkflowReplayer(new WorkflowReplayerOptions { DebugMode = true }.AddWorkflow<Mixed>().AddWorkflow<MixedChild>());
        await replayer.ReplayWorkflowsAsync(histories, throwOnReplayFailure: true, Cancel).WaitAsync(TimeSpan.FromMinutes(3), Cancel);
    }

    private static async Task<string> FirstRunAsync(TemporalClient client, string id) =>
        (await client.GetWorkflowHandle(id).FetchHistoryAsync()).Events.First().WorkflowExecutionStartedEventAttributes.FirstExecutionRunId;

    private static void AssertOnce<T>(IEnumerable<T> values)
    {
        var all = values.ToList();
        Assert.Equal(all.Distinct(), all);
    }

    private static string Id(int seed) => $"mixed-{seed:0000}";

    private static int Size(string variable, int @default) => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var size) ? size : @default;
}
