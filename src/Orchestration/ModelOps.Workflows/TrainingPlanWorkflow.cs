using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <summary>prepare → plan: what a training of the same input would do. Nothing is trained or registered.</summary>
[Workflow("TrainingPlan")]
public sealed class TrainingPlanWorkflow : JobWorkflow
{
    [WorkflowRun]
    public Task<PlannedTraining> RunAsync(SftTrainingInput input, JobRun run) => RunJobAsync(
        run,
        async () =>
        {
            var model = await RunStepAsync(Activities.ResolveArtifact, new ResolveArtifact(input.Base, ["model"]));
            var dataset = await RunStepAsync(Activities.ResolveDataset, new ResolveDataset(input.Dataset));
            return await RunStepAsync(Activities.PlanTraining, new TrainAdapter(model.Artifact, dataset.Dataset, input.Recipe));
        },
        ActivityJson.Default.PlannedTraining);
}
