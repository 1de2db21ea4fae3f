using ModelOps.ModelFiles;
using ModelOps.Registry;
using ModelOps.Storage;
using ModelOps.Training;
using ModelOps.Training.Plugins;
using ModelOps.Worker.Checkpoints;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Worker.Activities;

internal sealed class TrainAdapterActivity(
    TrainingInputs inputs, IObjectStore objects, BlobStore blobs, AlgorithmRegistry algorithms, WorkerOptions options, TimeProvider time, ILogger<TrainAdapterActivity> logger)
{
    public async Task<TrainedAdapter> RunAsync(TrainAdapter input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        progress.Report(ActivityProgress.Of("verifying"));
        using var scratch = new ScratchFolder(options);
        var reports = new TrainingReports(progress, time, logger);
        await using var checkpoints = new JobCheckpoints(
            objects, ActivityExecutionContext.Current.Info.WorkflowId!, Path.Combine(scratch.Path, "checkpoints"), ActivityReports.Current!,
            steps => reports.Say($"the checkpoint after step {steps} is stored"), logger);
        await checkpoints.FetchAsync(cancellationToken);
        var request = await inputs.RequestAsync(input, Path.Combine(scratch.Path, "trained"), cancellationToken) with
        {
            CheckpointFolder = checkpoints.Folder,
            CheckpointSaved = checkpoints.Saved,
        };
        try
        {
            var outcome = await TrainAsync(request, checkpoints, reports, cancellationToken);
            progress.Report(ActivityProgress.Of("storing"));
            return new(
                await StoreAsync(request.OutputFolder, cancellationToken),
                outcome.ResolvedRecipe.ToJson(),
                outcome.Steps,
                outcome.Tokens,
                outcome.LossBefore,
                outcome.LossAfter,
                outcome.Seconds,
                outcome.EvaluatedOn == EvaluationRows.Validation ? "validation" : "train_sample",
                outcome.TrainRows.Truncated,
                outcome.TrainRows.Skipped,
                outcome.ResolvedRecipe.Rank is null ? "model" : "adapter");
        }
        catch (Exception e) when (e is TrainingFailedException or InvalidModelFileException)
        {
            throw TrainingInputs.FailureOf(e);
        }
    }

    /// <summary>A job's recipe, rows and base never change; its checkpoints are of something else only where another version of ModelOps read them otherwise.</summary>
    private async Task<TrainingOutcome> TrainAsync(TrainingRequest request, JobCheckpoints checkpoints, TrainingReports reports, CancellationToken cancellationToken)
    {
        var training = new RecipeTraining(time, algorithms);
        try
        {
            return await training.RunAsync(request, reports, cancellationToken);
        }
        catch (TrainingFailedException e) when (e.Failure == TrainingFailure.OtherCheckpoints)
        {
            await checkpoints.ClearAsync(cancellationToken);
            reports.Say("its checkpoints were made by another version of ModelOps and are of no use to this one: training begins anew");
            return await training.RunAsync(request, reports, cancellationToken);
        }
    }

    private async Task<IReadOnlyList<StoredFile>> StoreAsync(string folder, CancellationToken cancellationToken)
    {
        var files = new List<StoredFile>();
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var stored = await blobs.PutFileAsync(path, cancellationToken);
            files.Add(new(Path.GetRelativePath(folder, path), stored.Size, stored.Sha256));
        }
        return files;
    }
}
