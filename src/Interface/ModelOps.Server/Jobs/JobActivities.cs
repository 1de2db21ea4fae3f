using System.Text.Json;
using ModelOps.Client;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Training;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Server.Jobs;

/// <summary>Writes into a job's record what its workflow tells.</summary>
public sealed partial class JobActivities(JobStore store, JobCheckpoints checkpoints, TrainingTimes times, ArtifactRefusals refusals, ILogger<JobActivities> logger) : IControlActivities
{
    public IEnumerable<ActivityDefinition> Definitions => [ControlActivity.Of(Activities.RecordJob, RecordAsync)];

    private async Task<JobChanged> RecordAsync(string id, JobChange change, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(id, cancellationToken) is not { } job)
        {
            Log.Unknown(logger, id);
            return new();
        }
        if (change.Error is { Type: ActivityFailures.VerificationFailed } refused && !job.State.IsFinal)
            await refusals.RecordAsync(job.CreatedBy!, job.Kind, refused.Message, cancellationToken);
        if (change.Phase == JobPhase.Succeeded) await checkpoints.RemoveAsync(id, cancellationToken); // its workflow has nothing left to do
        JsonElement? result = change.Output is { } output ? JobKinds.Of(job.Kind).ToWire(job.Input, output) : null;
        if (result is { } plan && job.Kind == JobKinds.TrainingPlan)
            result = JsonSerializer.SerializeToElement(
                await times.AddToAsync(plan.Deserialize(WireJson.Default.TrainingPlan)!, job.Input, cancellationToken), WireJson.Default.TrainingPlan);
        if (await store.ApplyAsync(id, change, result, cancellationToken))
            Log.Changed(logger, id, job.Kind, JobViews.Text(JobViews.State(change.Phase)), change.Error is { } error ? $": {error.Type}: {error.Message}" : "");
        return new();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "job {Id} ({Kind}) is {State}{Reason}")]
        public static partial void Changed(ILogger logger, string id, string kind, string state, string reason);

        [LoggerMessage(2, LogLevel.Warning, "a workflow tells of a job {Id} that is not in the database")]
        public static partial void Unknown(ILogger logger, string id);
    }
}
