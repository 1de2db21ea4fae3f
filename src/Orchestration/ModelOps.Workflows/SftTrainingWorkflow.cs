using System.Text.Json;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <param name="Recipe">What is said of it, as ModelOps.Recipes reads it.</param>
public sealed record SftTrainingInput(string Base, string Dataset, string Name, JsonElement Recipe, string CreatedBy)
{
    /// <summary>A dataset of its own whose validation rows the losses are measured on; null: those of <see cref="Dataset"/>.</summary>
    public string? Validation { get; init; }
}

public sealed record SftTrainingOutput(PinnedArtifact Artifact, TrainedAdapter Trained);

/// <summary>prepare → train and evaluate → register, by any method. Its name is of the first one, and stays: recorded histories have it.</summary>
[Workflow("SftTraining")]
public sealed class SftTrainingWorkflow : JobWorkflow
{
    [WorkflowRun]
    public Task<SftTrainingOutput> RunAsync(SftTrainingInput input, JobRun run) =>
        RunJobAsync(run, () => StepsAsync(this, input), ActivityJson.Default.SftTrainingOutput);

    internal static async Task<SftTrainingOutput> StepsAsync(JobWorkflow job, SftTrainingInput input)
    {
        var model = await job.RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(input.Base, ["model"]));
        var dataset = await job.RunStepAsync(Activities.ResolveDataset, new ResolveDataset(input.Dataset));
        var validation = input.Validation is { } rows ? await job.RunStepAsync(Activities.ResolveDataset, new ResolveDataset(rows)) : null;
        var trained = await job.RunStepAsync(
            Activities.TrainAdapter, new TrainAdapter(model.Artifact, dataset.Dataset, input.Recipe) { Validation = validation?.Dataset });
        var artifact = await job.RunStepAsync(Activities.RegisterArtifact, Registration(input, Parents(model, dataset, validation), trained));
        return new SftTrainingOutput(artifact, trained);
    }

    private static Dictionary<string, PinnedArtifact> Parents(ResolvedArtifact model, ResolvedDataset dataset, ResolvedDataset? validation)
    {
        var parents = new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal) { ["base"] = model.Artifact, ["dataset"] = dataset.Dataset.Artifact };
        if (validation is not null) parents["validation"] = validation.Dataset.Artifact;
        return parents;
    }

    private static RegisterArtifact Registration(SftTrainingInput input, IReadOnlyDictionary<string, PinnedArtifact> parents, TrainedAdapter trained) => new(
        input.Name,
        trained.Kind,
        trained.Files,
        parents,
        trained.Recipe,
        new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["validation_loss_before"] = trained.LossBefore,
            ["validation_loss"] = trained.LossAfter,
            ["steps"] = trained.Steps,
            ["tokens"] = trained.Tokens,
            ["truncated_rows"] = trained.TruncatedRows,
            ["skipped_rows"] = trained.SkippedRows,
        },
        new Dictionary<string, string>(StringComparer.Ordinal) { ["evaluated_on"] = trained.EvaluatedOn },
        input.CreatedBy);
}
