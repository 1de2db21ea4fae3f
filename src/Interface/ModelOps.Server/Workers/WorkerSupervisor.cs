using ModelOps.Client;
using ModelOps.Server.Deployments;
using ModelOps.Server.Hosting;
using ModelOps.Storage;
using ModelOps.Temporal;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <summary>How many tasks wait for a process of a role, not counting those that a process runs.</summary>
public delegate ValueTask<int> WorkerBacklog(WorkerRole role, CancellationToken cancellationToken);

/// <summary>Told when a process died that was not to stop.</summary>
/// <param name="how">For people: <c>the training worker was ended by SIGABRT…</c>.</param>
public delegate Task WorkerObituary(WorkerRole role, int processId, string how);

/// <summary>Keeps the right number of worker processes of every role alive: from the backlog, and from who waits for one here.</summary>
public sealed partial class WorkerSupervisor : BackgroundService, IAsyncDisposable
{
    private static readonly TimeSpan interval = TimeSpan.FromSeconds(1);
    private readonly Dictionary<WorkerRole, WorkerPool> pools;
    private readonly WorkerBacklog backlog;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly SemaphoreSlim wake = new(0);
    private bool disposed;

    public WorkerSupervisor(
        ServerHome home, ObjectStoreOptions objects, WorkersOptions options, InferenceOptions inference, WorkerLink link, WorkerBacklog backlog, WorkerObituary died, TimeProvider time,
        ILoggerFactory loggers)
    {
        (this.backlog, this.time, logger) = (backlog, new SteadyTime(time), loggers.CreateLogger<WorkerSupervisor>());
        pools = Enum.GetValues<WorkerRole>().Where(role => role != WorkerRole.Control).ToDictionary(
            role => role,
            role => new WorkerPool(
                new WorkerLaunch(role, Instance: 1, home.Root, options.ThreadsOf(role, Environment.ProcessorCount), objects)
                {
                    ModelMemory = role == WorkerRole.Inference ? inference.MemoryOf(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, options.Inference.Max) : null,
                },
                options,
                async (launch, cancellationToken) => await WorkerProcess.StartAsync(
                    launch, WorkerProgram.Find() with { Environment = await link.ToEnvironmentAsync(cancellationToken) }, loggers, time, cancellationToken),
                died,
                this.time,
                loggers.CreateLogger<WorkerPool>()));
    }

    /// <summary>A ready process of the role that nobody else has; waits for one.</summary>
    /// <exception cref="WorkerStartException">One could not be started, and none is starting.</exception>
    public Task<WorkerLease> LeaseAsync(WorkerRole role, CancellationToken cancellationToken) => pools[role].LeaseAsync(Wake, cancellationToken);

    /// <summary>Every process of this server, and every role that waits to start one again.</summary>
    public IReadOnlyList<Worker> List() => [.. pools.Values.SelectMany(pool => pool.List())];

    /// <summary>By role: processes that died or could not be started.</summary>
    public IReadOnlyDictionary<string, int> Restarts => pools.ToDictionary(pool => pool.Key.Name(), pool => pool.Value.Restarts, StringComparer.Ordinal);

    /// <summary>By role: tasks that wait for a process.</summary>
    public IReadOnlyDictionary<string, int> Backlogs => pools.ToDictionary(pool => pool.Key.Name(), pool => pool.Value.Backlog, StringComparer.Ordinal);

    /// <summary>Looks at the backlog now, not at the next second.</summary>
    public void Wake() => wake.Release();

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await Task.WhenAll(pools.Values.Select(pool => pool.StopAsync()));
    }

    /// <summary>The container disposes it for each way that it is registered: the second time does nothing.</summary>
    public async ValueTask DisposeAsync()
    {
        if (disposed) return;
        await StopAsync(CancellationToken.None); // a start that failed stops nothing
        Dispose();
    }

    public override void Dispose()
    {
        if (disposed) return;
        disposed = true;
        foreach (var pool in pools.Values) pool.Dispose();
        wake.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            foreach (var (role, pool) in pools) await AdjustAsync(role, pool, stoppingToken);
            await wake.WaitAsync(UntilNextLook(), stoppingToken);
        }
    }

    /// <summary>A second, or less where a process that died may be started again before that.</summary>
    private TimeSpan UntilNextLook()
    {
        var pauses = pools.Values.Select(pool => pool.RetryAt - time.GetUtcNow()).OfType<TimeSpan>().Append(interval);
        return pauses.Min() is { Ticks: > 0 } shortest ? shortest : TimeSpan.Zero;
    }

    private async Task AdjustAsync(WorkerRole role, WorkerPool pool, CancellationToken stopping)
    {
        try
        {
            pool.Adjust(await backlog(role, stopping));
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            Log.NotAdjusted(logger, e, role.Name());
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "the number of {Role} workers could not be decided; trying again in a second")]
        public static partial void NotAdjusted(ILogger logger, Exception exception, string role);
    }
}
