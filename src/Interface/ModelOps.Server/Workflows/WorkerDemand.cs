using ModelOps.Server.Jobs;
using ModelOps.Server.Workers;
using ModelOps.Workflows;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;

namespace ModelOps.Server.Workflows;

/// <summary>How much waits on the task queue of a role.</summary>
public sealed class WorkerDemand(WorkflowEngine engine, JobReconciler jobs)
{
    /// <summary>Activities that no worker has taken yet; asks nobody while there is no unfinished job.</summary>
    public async ValueTask<int> WaitingAsync(WorkerRole role, CancellationToken cancellationToken)
    {
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

/// <summary>Starts a worker for whatever waits.</summary>
public sealed partial class WorkerStarter(WorkerDemand demand, WorkerSupervisor workers, TimeProvider time, ILogger<WorkerStarter> logger) : BackgroundService
{
    private static readonly TimeSpan interval = TimeSpan.FromMilliseconds(500);
    private static readonly WorkerRole[] roles = [WorkerRole.Data, WorkerRole.Training, WorkerRole.Quantization];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            foreach (var role in roles)
                try
                {
                    if (await demand.WaitingAsync(role, stoppingToken) > 0) await workers.GetAsync(role, stoppingToken);
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    Log.NotStarted(logger, e, role);
                }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "no {Role} worker could be started")]
        public static partial void NotStarted(ILogger logger, Exception exception, WorkerRole role);
    }
}
