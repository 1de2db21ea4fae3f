using ModelOps.ModelFiles;
using ModelOps.Recipes;
using ModelOps.Registry;
using ModelOps.Tables.Datasets;
using ModelOps.Training;
using ModelOps.Training.Plugins;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

internal sealed class TrainAdapterActivity(
    VerifiedArtifacts artifacts, BlobStore blobs, Hosting.Tables tables, AlgorithmRegistry algorithms, WorkerOptions options, TimeProvider time)
{
    public async Task<TrainedAdapter> RunAsync(TrainAdapter input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        progress.Report(ActivityProgress.Of("verifying"));
        using var scratch = new ScratchFolder(options);
        var request = new SftRequest
        {
            ModelFolder = await artifacts.FolderAsync(input.Base, FileChecks.Remembered, cancellationToken),
            TrainRows = await RowsAsync(input.Dataset, "train", cancellationToken),
            ValidationRows = await RowsAsync(input.Dataset, "validation", cancellationToken),
            OutputFolder = Path.Combine(scratch.Path, "adapter"),
            BaseModelName = input.Base.ToString(),
            Recipe = new Recipe
            {
                Epochs = input.Recipe.Epochs,
                MaxSteps = input.Recipe.MaxSteps,
                Rank = input.Recipe.Rank,
                LearningRate = input.Recipe.LearningRate,
                BatchSize = input.Recipe.BatchSize,
                SequenceLength = input.Recipe.SequenceLength,
                Seed = input.Recipe.Seed ?? Recipe.DefaultSeed,
            },
            Threads = options.Threads,
        };
        var reports = new SyncProgress<TrainingProgress>(
            value => progress.Report(new ActivityProgress(value.Stage, value.Step, value.Total, value.Metrics)));
        try
        {
            var outcome = await new SftTraining(time, algorithms).RunAsync(request, reports, cancellationToken);
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
                outcome.TrainRows.Skipped);
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

    private async Task<IReadOnlyList<ChatExample>> RowsAsync(DatasetReference dataset, string split, CancellationToken cancellationToken)
    {
        var rows = DatasetReader.ReadAsync(tables.Store, dataset.Name, split, dataset.TableVersions[split], cancellationToken);
        return await rows
            .Select(row => new ChatExample(ToolText.Messages(Conversation(row, dataset))))
            .ToListAsync(cancellationToken);
    }

    private static string FailureOf(TrainingFailure failure) => failure switch
    {
        TrainingFailure.Diverged => ActivityFailures.Diverged,
        TrainingFailure.PluginFailed => ActivityFailures.PluginFailed,
        _ => ActivityFailures.InvalidInput,
    };

    private static DatasetExample Conversation(DatasetExample row, DatasetReference dataset) => row.Task == DatasetTask.Sft
        ? row
        : throw new ActivityException(
            ActivityFailures.InvalidInput, $"the dataset {dataset.Name}@{dataset.Version} has {row.Task} rows; supervised fine-tuning needs conversations (sft)");

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
