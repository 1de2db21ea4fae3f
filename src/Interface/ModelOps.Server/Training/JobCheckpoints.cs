using ModelOps.Client;
using ModelOps.Server.Jobs;
using ModelOps.Storage;
using ModelOps.Workflows;

namespace ModelOps.Server.Training;

/// <summary>The checkpoints that workers keep of jobs in the object store.</summary>
public sealed class JobCheckpoints(IObjectStore objects, JobMetrics metrics, JobStore jobs, TimeProvider time)
{
    private const string Loss = "loss";
    private const string ValidationLoss = "validation_loss";
    private static readonly TimeSpan keptAfterFailure = TimeSpan.FromDays(30);

    /// <summary>By step.</summary>
    public async Task<IReadOnlyList<JobCheckpoint>> ListAsync(string job, CancellationToken cancellationToken)
    {
        var stored = await objects.ListAsync(CheckpointKeys.Prefix(job), cancellationToken: cancellationToken)
            .Where(one => CheckpointKeys.StepsOf(one.Key) is not null).ToDictionaryAsync(one => CheckpointKeys.StepsOf(one.Key)!.Value, cancellationToken: cancellationToken);
        if (stored.Count == 0) return [];
        var steps = stored.Keys.Select(step => (long)step).ToList();
        var losses = await metrics.AtAsync(job, Loss, steps, cancellationToken);
        var measured = await metrics.AtAsync(job, ValidationLoss, steps, cancellationToken);
        var lowest = await metrics.LowestAsync(job, ValidationLoss, cancellationToken);
        return
        [
            .. from one in stored
               orderby one.Key
               let validation = measured.TryGetValue(one.Key, out var value) ? value : (double?)null
               select new JobCheckpoint
               {
                   Step = one.Key,
                   Size = one.Value.Size,
                   StoredAt = one.Value.ModifiedAt,
                   Loss = losses.TryGetValue(one.Key, out var loss) ? loss : null,
                   ValidationLoss = validation,
                   Best = validation is not null && validation == lowest,
               },
        ];
    }

    /// <summary>The job with its checkpoints, if it is of a kind that has some.</summary>
    public async Task<Job> AddToAsync(Job job, CancellationToken cancellationToken) =>
        JobKinds.Of(job.Kind).Role == WorkerRole.Training && await ListAsync(job.Id, cancellationToken) is { Count: > 0 } kept ? job with { Checkpoints = kept } : job;

    /// <summary>Lets all of a job's go: it will not go on.</summary>
    public async Task RemoveAsync(string job, CancellationToken cancellationToken)
    {
        await foreach (var one in objects.ListAsync(CheckpointKeys.Prefix(job), cancellationToken: cancellationToken)) await objects.DeleteAsync(one.Key, cancellationToken);
    }

    /// <summary>
    /// Lets go what will not be used: of jobs that are gone, of those that succeeded, behind whose end a worker that was given up stored one, and of
    /// those that nobody retried for 30 days.
    /// </summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        var owners = await objects.ListAsync(CheckpointKeys.Root, cancellationToken: cancellationToken).Select(one => CheckpointKeys.JobOf(one.Key)).Distinct().ToListAsync(cancellationToken);
        foreach (var owner in owners)
            if (await jobs.GetAsync(owner, cancellationToken) is not { } job || job.State == JobState.Succeeded || job.FinishedAt < time.GetUtcNow() - keptAfterFailure)
                await RemoveAsync(owner, cancellationToken);
    }
}
