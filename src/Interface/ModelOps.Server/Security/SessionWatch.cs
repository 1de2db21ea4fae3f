using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>Knows of ended sessions before the first request is answered, and of those that other servers on the same database end.</summary>
public sealed partial class SessionWatch(Sessions sessions, TimeProvider time, ILogger<SessionWatch> logger) : BackgroundService
{
    private static readonly TimeSpan every = TimeSpan.FromSeconds(2);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await sessions.PruneAsync(cancellationToken);
        await sessions.SynchronizeAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(every, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await sessions.SynchronizeAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                Log.NotSynchronized(logger, e);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "which sessions other servers ended could not be read; trying again")]
        public static partial void NotSynchronized(ILogger logger, Exception exception);
    }
}
