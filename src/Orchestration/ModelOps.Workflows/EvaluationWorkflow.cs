using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <param name="Artifact">A model or an adapter, which is evaluated with its base.</param>
/// <param name="Against">Another one to compare with; null: the base of an adapter, and nothing for a model.</param>
/// <param name="Name">Of the evaluation's artifact.</param>
public sealed record EvaluationInput(
    string Artifact,
    string? Against,
    string Dataset,
    string Split,
    IReadOnlyList<string> Metrics,
    int? Rows,
    int? MaxTokens,
    int Seed,
    string Name,
    string CreatedBy);

public sealed record EvaluationOutput(PinnedArtifact Artifact, PinnedArtifact Candidate, PinnedArtifact? Base, DatasetReference Dataset, EvaluatedModel Evaluated);

/// <summary>resolve → measure both → register what was measured.</summary>
[Workflow("Evaluation")]
public sealed class EvaluationWorkflow : JobWorkflow
{
    private static readonly string[] kinds = ["model", "adapter"];

    [WorkflowRun]
    public Task<EvaluationOutput> RunAsync(EvaluationInput input, JobRun run) => RunJobAsync(
        run,
        async () =>
        {
            var candidate = await RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(input.Artifact, kinds));
            var (against, compared) = await ComparedAsync(input, candidate);
            var dataset = await RunStepAsync(Activities.ResolveDataset, new ResolveDataset(input.Dataset));
            var evaluated = await RunStepAsync(
                Activities.EvaluateModel,
                new EvaluateModel(
                    Subject(candidate), against, dataset.Dataset, input.Split, input.Metrics, input.Rows, input.MaxTokens, input.Seed, Workflow.Info.WorkflowId));
            var artifact = await RunStepAsync(
                Activities.RegisterArtifact, Registration(input, candidate.Artifact, compared, dataset.Dataset, evaluated));
            return new EvaluationOutput(artifact, candidate.Artifact, compared, dataset.Dataset, evaluated);
        },
        ActivityJson.Default.EvaluationOutput);

    private async Task<(EvaluatedSubject? Subject, PinnedArtifact? Artifact)> ComparedAsync(EvaluationInput input, ResolvedArtifact candidate)
    {
        if (input.Against is null) return candidate.Base is null ? (null, null) : (new EvaluatedSubject(candidate.Base, Adapter: null), candidate.Base);
        var other = await RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(input.Against, kinds));
        return (Subject(other), other.Artifact);
    }

    private static EvaluatedSubject Subject(ResolvedArtifact resolved) =>
        resolved.Base is null ? new(resolved.Artifact, Adapter: null) : new(resolved.Base, resolved.Artifact);

    private static RegisterArtifact Registration(
        EvaluationInput input, PinnedArtifact candidate, PinnedArtifact? compared, DatasetReference dataset, EvaluatedModel evaluated)
    {
        var parents = new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal) { ["candidate"] = candidate, ["dataset"] = dataset.Artifact };
        if (compared is not null) parents["base"] = compared;
        return new(
            input.Name,
            "evaluation",
            evaluated.Files,
            parents,
            evaluated.Settings,
            evaluated.Metrics,
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["table"] = evaluated.Table,
                ["table_version"] = $"{evaluated.TableVersion}",
            },
            input.CreatedBy);
    }
}
