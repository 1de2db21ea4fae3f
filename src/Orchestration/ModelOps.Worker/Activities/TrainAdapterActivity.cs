using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.Recipes;
using ModelOps.Registry;
using ModelOps.Storage;
using ModelOps.Tables.Datasets;
using ModelOps.Training;
using ModelOps.Training.Plugins;
using ModelOps.Worker.Checkpoints;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Worker.Activities;

internal sealed class TrainAdapterActivity(
    VerifiedArtifacts artifacts, IObjectStore objects, BlobStore blobs, Hosting.Tables tables, AlgorithmRegistry algorithms, WorkerOptions options, TimeProvider time,
    ILogger<TrainAdapterActivity> logger)
{
    public async Task<TrainedAdapter> RunAsync(TrainAdapter input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        var recipe = Read(input.Recipe);
        progress.Report(ActivityProgress.Of("verifying"));
        using var scratch = new ScratchFolder(options);
        var reports = new TrainingReports(progress, logger);
        await using var checkpoints = new JobCheckpoints(
            objects, ActivityExecutionContext.Current.Info.WorkflowId!, Path.Combine(scratch.Path, "checkpoints"), ActivityReports.Current!,
            steps => reports.Say($"the checkpoint after step {steps} is stored"), logger);
        await checkpoints.FetchAsync(cancellationToken);
        var request = new TrainingRequest
        {
            ModelFolder = await artifacts.FolderAsync(input.Base, FileChecks.Remembered, cancellationToken),
            TrainRows = await RowsAsync(input.Dataset, "train", recipe.Method, cancellationToken),
            ValidationRows = await RowsAsync(input.Dataset, "validation", recipe.Method, cancellationToken),
            OutputFolder = Path.Combine(scratch.Path, "trained"),
            BaseModelName = input.Base.ToString(),
            Recipe = recipe,
            CheckpointFolder = checkpoints.Folder,
            CheckpointSaved = checkpoints.Saved,
            Threads = options.Threads,
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
        catch (TrainingFailedException e)
        {
            throw new ActivityException(FailureOf(e.Failure), e.Message, cause: e);
        }
        catch (InvalidModelFileException e)
        {
            throw new ActivityException(ActivityFailures.InvalidInput, e.Message, cause: e);
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

    /// <summary>The gateway has read it before; a worker of another version may know other keys.</summary>
    private static Recipe Read(JsonElement recipe) => RecipeFile.Parse(recipe.GetRawText()) switch
    {
        RecipeReading.Read read => read.Recipe,
        RecipeReading.Invalid invalid => throw new ActivityException(
            ActivityFailures.InvalidInput, $"the recipe cannot be used: {string.Join("; ", invalid.Errors)}"),
        var other => throw new InvalidOperationException($"unknown outcome {other}"),
    };

    private async Task<IReadOnlyList<TrainingExample>> RowsAsync(DatasetReference dataset, string split, TrainingMethod method, CancellationToken cancellationToken)
    {
        var rows = DatasetReader.ReadAsync(tables.Store, dataset.Name, split, dataset.TableVersions[split], cancellationToken);
        return await rows.Select(row => Example(row, dataset, method)).ToListAsync(cancellationToken);
    }

    private static string FailureOf(TrainingFailure failure) => failure switch
    {
        TrainingFailure.Diverged => ActivityFailures.Diverged,
        TrainingFailure.PluginFailed => ActivityFailures.PluginFailed,
        _ => ActivityFailures.InvalidInput,
    };

    /// <summary>The gateway has compared dataset and method before, where it knew both.</summary>
    private static TrainingExample Example(DatasetExample row, DatasetReference dataset, TrainingMethod method)
    {
        if (row.Task.Name != TrainingTasks.Of(method))
            throw new ActivityException(ActivityFailures.InvalidInput, TrainingTasks.Mismatch($"{dataset.Name}@{dataset.Version}", row.Task.Name, method));
        return method == TrainingMethod.Pretrain ? new TextExample(row.Content.Messages.Single().Content) : new ChatExample(ToolText.Messages(row));
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
