using ModelOps.ModelFiles;
using ModelOps.Training;
using ModelOps.Training.Plugins;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

internal sealed class PlanTrainingActivity(TrainingInputs inputs, AlgorithmRegistry algorithms, WorkerOptions options, TimeProvider time)
{
    public async Task<PlannedTraining> RunAsync(TrainAdapter input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        progress.Report(ActivityProgress.Of("verifying"));
        var request = await inputs.RequestAsync(input, options.Scratch, cancellationToken);
        progress.Report(ActivityProgress.Of("planning"));
        try
        {
            var plan = await new RecipeTraining(time, algorithms).PlanAsync(request, cancellationToken);
            return new(plan.ToJson(), options.Identity);
        }
        catch (Exception e) when (e is TrainingFailedException or InvalidModelFileException)
        {
            throw TrainingInputs.FailureOf(e);
        }
    }
}
