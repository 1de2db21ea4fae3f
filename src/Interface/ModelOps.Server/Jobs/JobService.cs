using System.Text.Json;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Workers;
using ModelOps.Server.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>
/// What users do with jobs. It is written down before it is answered, and so survives a crash; <see cref="JobReconciler"/> then does it to the
/// workflow, on whichever server has that.
/// </summary>
public sealed class JobService(JobStore store, WorkflowEngine engine, JobReconciler reconciler, WorkerDemand demand, WorkerSupervisor workers, TimeProvider time)
{
    public async Task<JobCreation> CreateAsync(
        string kind, JsonElement input, JobPriority priority, ApiPrincipal creator, CancellationToken cancellationToken)
    {
        var creation = await store.CreateAsync(new NewJob(kind, input, priority, creator.Name, engine.Name, MayExceed(creator)), cancellationToken);
        if (creation is not JobCreation.Created) return creation;
        reconciler.Wake();
        demand.Expect(JobKinds.Of(kind).Role);
        workers.Wake();
        return creation;
    }

    /// <returns>The job as it is now, which need not be as it is wished; null if there is none of that id.</returns>
    public async Task<Job?> WishAsync(string id, JobWish wish, CancellationToken cancellationToken)
    {
        if (await store.WishAsync(id, wish, cancellationToken)) reconciler.Wake();
        return await store.GetAsync(id, cancellationToken);
    }

    /// <summary>The same, answered when the job is as it is wished, or after a while.</summary>
    /// <param name="longest">What a step that is told to stop may take meanwhile.</param>
    public async Task<Job?> WishAsync(string id, JobWish wish, Func<JobState, bool> isAsWished, TimeSpan longest, CancellationToken cancellationToken)
    {
        if (await WishAsync(id, wish, cancellationToken) is not { } job || isAsWished(job.State)) return await store.GetAsync(id, cancellationToken);
        using var limit = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await store.UntilAsync(id, isAsWished, either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It goes on stopping.
        }
        return await store.GetAsync(id, cancellationToken);
    }

    /// <summary>The same job again, if it failed or was canceled.</summary>
    /// <param name="retrier">Who asks for it; the job stays its creator's.</param>
    public async Task<JobRetry> RetryAsync(string id, ApiPrincipal retrier, CancellationToken cancellationToken)
    {
        var retry = await store.RetryAsync(id, engine.Name, MayExceed(retrier), cancellationToken);
        if (retry is JobRetry.Retried) reconciler.Wake();
        return retry;
    }

    private static bool MayExceed(ApiPrincipal principal) => principal.Role == Roles.Admin;
}
