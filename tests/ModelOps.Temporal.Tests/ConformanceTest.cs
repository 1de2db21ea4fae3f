using System.Collections.Concurrent;
using System.Reflection;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Client.Interceptors;
using Temporalio.Common;
using Temporalio.Worker;
using Temporalio.Workflows;

namespace ModelOps.Temporal.Tests;

/// <summary>
/// A test of what any Temporal service does, through the unmodified SDK. Each test has a task queue and a worker of its own, on which all workflows and
/// activities of this assembly are; in the end every run that it started, their children and successors included, is replayed from its history.
/// </summary>
public abstract class ConformanceTest(TemporalService service) : IAsyncLifetime
{
    protected const int Timeout = 30_000;

    private static readonly Type[] workflows =
        [.. typeof(ConformanceTest).Assembly.GetTypes().Where(type => type.GetCustomAttribute<WorkflowAttribute>() != null)];

    private readonly RunRecorder runs = new();
    private readonly HashSet<string> withoutReplay = [];
    private TemporalWorker? worker;
    private CancellationTokenSource? stop;
    private Task running = Task.CompletedTask;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected TemporalService Service => service;

    protected TemporalClient Client { get; private set; } = null!;

    protected string Queue { get; } = $"queue-{Guid.NewGuid():N}";

    public async ValueTask InitializeAsync()
    {
        Client = await service.ConnectAsync(runs);
        StartWorker();
    }

    public async ValueTask DisposeAsync()
    {
        await StopWorkerAsync();
        GC.SuppressFinalize(this);
        if (TestContext.Current.TestState?.Result != TestResult.Failed) await ReplayAsync();
    }

    protected WorkflowOptions Options(string? id = null) => new(id ?? NewId(), Queue);

    protected static string NewId() => $"test-{Guid.NewGuid():N}";

    /// <summary>For tests whose worker is not like the others'.</summary>
    protected void StartWorker(Action<TemporalWorkerOptions>? configure = null)
    {
        // The detector of deadlocks, which debug mode turns off, takes a busy machine for one.
        var options = new TemporalWorkerOptions(Queue) { DebugMode = true };
        foreach (var workflow in workflows) options.AddWorkflow(workflow);
        options.AddAllActivities(typeof(Activities), null);
        configure?.Invoke(options);
        worker = new TemporalWorker(Client, options);
        stop = new CancellationTokenSource();
        running = worker.ExecuteAsync(stop.Token);
    }

    protected async Task StopWorkerAsync()
    {
        if (stop is null) return;
        await stop.CancelAsync();
        try
        {
            await running;
        }
        catch (OperationCanceledException)
        {
            // how it ends
        }
        worker!.Dispose();
        stop.Dispose();
        (stop, worker) = (null, null);
    }

    /// <summary>A run that is not told by the SDK's own start calls.</summary>
    protected void Replay(string workflowId, string runId) => runs.Add(workflowId, runId);

    /// <summary>For workflows that a test makes non-deterministic, or whose code it changes, on purpose.</summary>
    protected void DoNotReplay(string workflowId) => withoutReplay.Add(workflowId);

    protected static async Task<List<EventType>> EventsAsync(WorkflowHandle handle) =>
        [.. (await handle.FetchHistoryAsync()).Events.Select(e => e.EventType)];

    /// <summary>All that the service says of a run; the SDK's own description has less.</summary>
    protected async Task<DescribeWorkflowExecutionResponse> DescribeAsync(WorkflowHandle handle) => await Client.WorkflowService.DescribeWorkflowExecutionAsync(new()
    {
        Namespace = service.Namespace,
        Execution = new() { WorkflowId = handle.Id, RunId = handle.RunId ?? "" },
    });

    /// <summary>For what the service does in its own time: asked again until it holds.</summary>
    protected static async Task EventuallyAsync(Func<Task<bool>> condition)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await condition()) await tick.WaitForNextTickAsync(Cancel);
    }

    private async Task ReplayAsync()
    {
        var options = new WorkflowReplayerOptions { DebugMode = true };
        foreach (var workflow in workflows) options.AddWorkflow(workflow);
        var histories = new List<WorkflowHistory>();
        var seen = new HashSet<string>();
        while (runs.TryTake(out var run))
        {
            if (!seen.Add(run.RunId) || withoutReplay.Contains(run.WorkflowId)) continue;
            WorkflowHistory history;
            try
            {
                history = await Client.GetWorkflowHandle(run.WorkflowId, run.RunId).FetchHistoryAsync();
            }
            catch (Temporalio.Exceptions.RpcException e) when (e.Code == Temporalio.Exceptions.RpcException.StatusCode.NotFound)
            {
                continue; // deleted by its test
            }
            // What no worker has worked on has nothing to replay.
            if (history.Events.Any(e => e.EventType == EventType.WorkflowTaskCompleted)) histories.Add(history);
            foreach (var e in history.Events) runs.AddFollowing(run.WorkflowId, e);
        }
        await new WorkflowReplayer(options).ReplayWorkflowsAsync(histories, throwOnReplayFailure: true, CancellationToken.None);
    }

    /// <summary>Notes which runs the client starts.</summary>
    private sealed class RunRecorder : IClientInterceptor
    {
        private readonly ConcurrentQueue<(string WorkflowId, string RunId)> started = new();

        public ClientOutboundInterceptor InterceptClient(ClientOutboundInterceptor nextInterceptor) => new Outbound(nextInterceptor, this);

        public void Add(string workflowId, string? runId)
        {
            if (!string.IsNullOrEmpty(runId)) started.Enqueue((workflowId, runId));
        }

        public bool TryTake(out (string WorkflowId, string RunId) run) => started.TryDequeue(out run);

        public void AddFollowing(string workflowId, Temporalio.Api.History.V1.HistoryEvent e)
        {
            if (e.ChildWorkflowExecutionStartedEventAttributes is { } child) Add(child.WorkflowExecution.WorkflowId, child.WorkflowExecution.RunId);
            Add(workflowId, e.WorkflowExecutionContinuedAsNewEventAttributes?.NewExecutionRunId);
            Add(workflowId, e.WorkflowExecutionFailedEventAttributes?.NewExecutionRunId);
            Add(workflowId, e.WorkflowExecutionCompletedEventAttributes?.NewExecutionRunId);
            Add(workflowId, e.WorkflowExecutionTimedOutEventAttributes?.NewExecutionRunId);
        }

        private sealed class Outbound(ClientOutboundInterceptor next, RunRecorder recorder) : ClientOutboundInterceptor(next)
        {
            public override async Task<WorkflowHandle<TWorkflow, TResult>> StartWorkflowAsync<TWorkflow, TResult>(StartWorkflowInput input)
            {
                var handle = await base.StartWorkflowAsync<TWorkflow, TResult>(input);
                recorder.Add(handle.Id, handle.ResultRunId);
                return handle;
            }

            public override async Task<WorkflowUpdateHandle<TUpdateResult>> StartUpdateWithStartWorkflowAsync<TUpdateResult>(StartUpdateWithStartWorkflowInput input)
            {
                var handle = await base.StartUpdateWithStartWorkflowAsync<TUpdateResult>(input);
                recorder.Add(handle.WorkflowId, handle.WorkflowRunId);
                return handle;
            }
        }
    }
}
