using ModelOps.Workflows;
using Temporalio.Worker;

namespace ModelOps.Worker.Hosting;

/// <summary>Takes one activity after the other from its role's task queue.</summary>
internal sealed class ActivityWorker(
    ServerConnection server, ActivityHandlers handlers, WorkerOptions options, ServerLink link, IHostApplicationLifetime lifetime, ILoggerFactory loggers)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var taking = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, link.Leaving);
        try
        {
            await TakeAsync(taking.Token);
        }
        catch (OperationCanceledException) when (link.Leaving.IsCancellationRequested)
        {
            lifetime.StopApplication(); // what it had taken is done
        }
    }

    private async Task TakeAsync(CancellationToken cancellationToken)
    {
        var client = await server.ConnectAsync(options.Identity, loggers, cancellationToken);
        var polling = new TemporalWorkerOptions(options.Role.TaskQueue())
        {
            LoggerFactory = loggers,
            MaxConcurrentActivities = 1, // an activity has all the threads of its process, and its death is that of no other
            MaxConcurrentActivityTaskPolls = 1,
            GracefulShutdownTimeout = ActivityLimits.Work.StartToClose, // to leave is not to stop: the end of the application cancels activities
            MaxHeartbeatThrottleInterval = ActivityLimits.HeartbeatInterval,
            DefaultHeartbeatThrottleInterval = ActivityLimits.HeartbeatInterval,
        };
        foreach (var activity in handlers.Definitions) polling.AddActivity(activity);
        using var worker = new TemporalWorker(client, polling);
        await worker.ExecuteAsync(cancellationToken);
    }
}
