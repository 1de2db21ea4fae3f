using System.Collections.Concurrent;
using ModelOps.Server.Jobs;
using ModelOps.Workflows;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;

namespace ModelOps.Server.Workflows;

/// <summary>How much waits on the task queue of a role.</summary>
public sealed class WorkerDemand(WorkflowEngine engine, JobReconciler jobs, TimeProvider time)
{
    private static readonly TimeSpan expected = TimeSpan.FromSeconds(5);
    private readonly ConcurrentDictionary<WorkerRole, long> expectedSince = new();

    /// <summary>An activity of the role comes soon: its process can start meanwhile.</summary>
    public void Expect(WorkerRole role) => expectedSince[role] = time.GetTimestamp();

    /// <summary>Activities that no worker has taken yet; asks nobody while there is no unfinished job.</summary>
    public async ValueTask<int> WaitingAsync(WorkerRole role, CancellationToken cancellationToken)
    {
        if (expectedSince.TryGetValue(role, out var since) && time.GetElapsedTime(since) < expected) return 1;
        if (jobs.Open == 0 || !engine.IsRunning) return 0;
        var client = await engine.ClientAsync(cancellationToken);
        var queue = await client.WorkflowService.DescribeTaskQueueAsync(
            new DescribeTaskQueueRequest
            {
                Namespace = engine.Namespace,
                TaskQueue = new TaskQueue { Name = role.TaskQueue(), Kind = TaskQueueKind.Normal },
                TaskQueueType = TaskQueueType.Activity,
                ReportStats = true,
            },
            new RpcOptions { CancellationToken = cancellationToken });
        return (int)Math.Min(queue.Stats?.ApproximateBacklogCount ?? 0, int.MaxValue);
    }
}
