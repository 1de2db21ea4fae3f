using ModelOps.Server.Hosting;
using ModelOps.Storage;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <summary>At most one worker process per role, started when it is first needed and again after it died.</summary>
public sealed partial class WorkerSupervisor(ServerHome home, ObjectStoreOptions objects, WorkerLink link, ILogger<WorkerSupervisor> logger) : IAsyncDisposable
{
    // llama.cpp's threads spin at barriers: on a machine without a free core they collapse.
    private static readonly int threads = Math.Max(1, Environment.ProcessorCount - 1);
    private readonly Dictionary<WorkerRole, WorkerProcess> workers = [];
    private readonly SemaphoreSlim gate = new(1);
    private bool disposed;

    /// <exception cref="WorkerStartException">It does not come up.</exception>
    public async Task<WorkerProcess> GetAsync(WorkerRole role, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (workers.TryGetValue(role, out var worker))
            {
                if (!worker.Exited.IsCompleted) return worker;
                Log.Died(logger, role, worker.Id, worker.HowItEnded);
                workers.Remove(role);
                await worker.DisposeAsync();
            }
            return workers[role] = await WorkerProcess.StartAsync(role, home.Root, objects, link, threads, logger, cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await gate.WaitAsync();
        disposed = true;
        await Task.WhenAll(workers.Values.Select(worker => worker.DisposeAsync().AsTask()));
        workers.Clear();
        gate.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Role} worker, process {ProcessId}, {HowItEnded}")]
        public static partial void Died(ILogger logger, WorkerRole role, int processId, string howItEnded);
    }
}
