using System.Text.Json;
using ModelOps.Client;
using ModelOps.Server.Workers;
using ModelOps.Server.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>
/// What users do with jobs. It is written down before it is answered, and so survives a crash; <see cref="JobReconciler"/> then does it to the
/// workflow, on whichever server has that.
/// </summary>
public sealed class JobService(JobStore store, WorkflowEngine engine, JobReconciler reconciler, WorkerDemand demand, WorkerSupervisor workers)
{
    public async Task<Job> CreateAsync(string kind, JsonElement input, string createdBy, CancellationToken cancellationToken)
    {
        var job = await store.CreateAsync(kind, input, createdBy, engine.Name, cancellationToken);
        reconciler.Wake();
        demand.Expect(JobKinds.Of(kind).Role);
        workers.Wake();
        return job;
    }

    /// <returns>The job as it is now, which need not be as it is wished; null if there is none of that id.</returns>
    public async Task<Job?> WishAsync(string id, JobWish wish, CancellationToken cancellationToken)
    {
        if (await store.WishAsync(id, wish, cancellationToken)) reconciler.Wake();
        return await store.GetAsync(id, cancellationToken);
    }

    /// <summary>The same job again, if it failed or was canceled.</summary>
    /// <returns>False: it did not, or there is none of that id.</returns>
    public async Task<bool> RetryAsync(string id, CancellationToken cancellationToken)
    {
        if (!await store.RetryAsync(id, engine.Name, cancellationToken)) return false;
        reconciler.Wake();
        return true;
    }
}
