using System.Text.Json;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Jobs;
using ModelOps.Workflows;

namespace ModelOps.Server.FineTuning;

/// <summary>The jobs of the kind <c>fine_tuning</c> as OpenAI's API sees them: each is its creator's, and an administrator's.</summary>
public sealed class FineTuningJobs(JobStore store)
{
    private const int Batch = 200;
    private static readonly JobState[] unfinished = [JobState.Queued, JobState.Running, JobState.Paused];

    /// <param name="id">As OpenAI's API has it.</param>
    /// <returns>Null: there is none, or it is somebody else's.</returns>
    public async Task<Job?> FindAsync(string id, ApiPrincipal reader, CancellationToken cancellationToken) =>
        FineTuningIds.ToJob(id) is { } job && await store.GetAsync(job, cancellationToken) is { Kind: JobKinds.FineTune } found && MayUse(found, reader) ? found : null;

    /// <summary>Newest first.</summary>
    /// <param name="after">As OpenAI's API has it; null: from the newest on.</param>
    public async Task<IReadOnlyList<Job>> ListAsync(
        string? after, Func<FineTuningInput, bool> wanted, int limit, ApiPrincipal reader, CancellationToken cancellationToken)
    {
        var (found, before) = (new List<Job>(), after is null ? null : FineTuningIds.ToJob(after));
        var by = reader.Role == Roles.Admin ? null : reader.Name;
        while (true)
        {
            var batch = await store.ListAsync(new JobQuery([], JobKinds.FineTune, before, Batch) { CreatedBy = by }, cancellationToken);
            found.AddRange(batch.Where(job => wanted(InputOf(job))).Take(limit - found.Count));
            if (found.Count == limit || batch.Count < Batch) return found;
            before = batch[^1].Id;
        }
    }

    /// <returns>An unfinished job that trains or validates with the file; null: none does.</returns>
    public async Task<Job?> UnfinishedWithAsync(string file, CancellationToken cancellationToken)
    {
        string? before = null;
        while (true)
        {
            var batch = await store.ListAsync(new JobQuery(unfinished, JobKinds.FineTune, before, Batch), cancellationToken);
            if (batch.FirstOrDefault(job => InputOf(job) is var input && (input.TrainingFile.Id == file || input.ValidationFile?.Id == file)) is { } user) return user;
            if (batch.Count < Batch) return null;
            before = batch[^1].Id;
        }
    }

    /// <returns>The job that made the model; null: there is none.</returns>
    public Task<Job?> MakerOfAsync(FineTunedModel model, CancellationToken cancellationToken) => store.FindByEndAsync(JobKinds.FineTune, model.Id, cancellationToken);

    public static bool MayUse(Job job, ApiPrincipal principal) => principal.Role == Roles.Admin || job.CreatedBy == principal.Name;

    public static FineTuningInput InputOf(Job job) => job.Input.Deserialize(ActivityJson.Default.FineTuningInput)!;
}
