using System.Text.Json;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <param name="Recipe">What is said of it, as ModelOps.Recipes reads it.</param>
public sealed record SftTrainingInput(string Base, string Dataset, string Name, JsonElement Recipe, string CreatedBy);

public sealed record SftTrainingOutput(PinnedArtifact Artifact, TrainedAdapter Trained);

/// <summary>prepare → train and evaluate → register, by any method. Its name is of the first one, and stays: recorded histories have it.</summary>
[Workflow("SftTraining")]
public sealed class SftTrainingWorkflow : JobWorkflow
{
    [WorkflowRun]
    public Task<SftTrainingOutput> RunAsync(SftTrainingInput input, JobRun run) => RunJobAsync(
        run,
        async () =>
        {
            var model = await RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(input.Base, ["model"]));
            var dataset = await RunStepAsync(Activities.ResolveDataset, new ResolveDataset(input.Dataset));
            var trained = await RunStepAsync(Activities.TrainAdapter, new TrainAdapter(model.Artifact, dataset.Dataset, input.Recipe));
            var artifact = await RunStepAsync(Activities.RegisterArtifact, Registration(input, model.Artifact, dataset.Dataset.Artifact, trained));
            return new SftTrainingOutput(artifact, trained);
        },
        ActivityJson.Default.SftTrainingOutput);

    private static RegisterArtifact Registration(SftTrainingInput input, PinnedArtifact model, PinnedArtifact dataset, TrainedAdapter trained) => new(
        input.Name,
        trained.Kind,
        trained.Files,
        new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal) { ["base"] = model, ["dataset"] = dataset },
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
