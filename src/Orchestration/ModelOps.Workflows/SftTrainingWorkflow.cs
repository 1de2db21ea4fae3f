namespace ModelOps.Workflows;

public sealed record SftTrainingInput(string Base, string Dataset, string Name, TrainingRecipe Recipe, string CreatedBy);

public sealed record SftTrainingOutput(PinnedArtifact Artifact, TrainedAdapter Trained);

/// <summary>prepare → train and evaluate → register.</summary>
public static class SftTrainingWorkflow
{
    public static async Task<SftTrainingOutput> RunAsync(
        SftTrainingInput input, IActivityInvoker activities, CancellationToken cancellationToken)
    {
        var model = await activities.ExecuteAsync(
            Activities.ResolveArtifact, new ResolveArtifact(input.Base, ["model"]), cancellationToken).ConfigureAwait(false);
        var dataset = await activities.ExecuteAsync(
            Activities.ResolveDataset, new ResolveDataset(input.Dataset), cancellationToken).ConfigureAwait(false);
        var trained = await activities.ExecuteAsync(
            Activities.TrainAdapter,
            new TrainAdapter(model.Artifact, dataset.Dataset, input.Recipe),
            cancellationToken).ConfigureAwait(false);
        var artifact = await activities.ExecuteAsync(
            Activities.RegisterArtifact,
            new RegisterArtifact(
                input.Name,
                "adapter",
                trained.Files,
                new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal)
                {
                    ["base"] = model.Artifact,
                    ["dataset"] = dataset.Dataset.Artifact,
                },
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
                input.CreatedBy),
            cancellationToken).ConfigureAwait(false);
        return new(artifact, trained);
    }
}
