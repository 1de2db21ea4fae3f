using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.Recipes;
using ModelOps.Registry;
using ModelOps.Tables.Datasets;
using ModelOps.Training;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

/// <summary>From what a job names to what training takes, and from what training throws to how a job fails.</summary>
internal sealed class TrainingInputs(VerifiedArtifacts artifacts, Hosting.Tables tables, WorkerOptions options)
{
    public async Task<TrainingRequest> RequestAsync(TrainAdapter input, string output, CancellationToken cancellationToken)
    {
        var recipe = Read(input.Recipe);
        return new()
        {
            ModelFolder = await artifacts.FolderAsync(input.Base, FileChecks.Remembered, cancellationToken),
            TrainRows = await RowsAsync(input.Dataset, "train", recipe.Method, cancellationToken),
            ValidationRows = await RowsAsync(input.Validation ?? input.Dataset, "validation", recipe.Method, cancellationToken),
            OutputFolder = output,
            BaseModelName = input.Base.ToString(),
            Recipe = recipe,
            Threads = options.Threads,
        };
    }

    /// <param name="thrown">By training, of what it was given: a <see cref="TrainingFailedException"/> or an <see cref="InvalidModelFileException"/>.</param>
    public static ActivityException FailureOf(Exception thrown)
    {
        var type = (thrown as TrainingFailedException)?.Failure switch
        {
            TrainingFailure.Diverged => ActivityFailures.Diverged,
            TrainingFailure.PluginFailed => ActivityFailures.PluginFailed,
            _ => ActivityFailures.InvalidInput,
        };
        return new(type, thrown.Message, cause: thrown);
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

    /// <summary>The gateway has compared dataset and method before, where it knew both.</summary>
    private static TrainingExample Example(DatasetExample row, DatasetReference dataset, TrainingMethod method)
    {
        if (row.Task.Name != TrainingTasks.Of(method))
            throw new ActivityException(ActivityFailures.InvalidInput, TrainingTasks.Mismatch($"{dataset.Name}@{dataset.Version}", row.Task.Name, method));
        return method == TrainingMethod.Pretrain ? new TextExample(row.Content.Messages.Single().Content) : new ChatExample(ToolText.Messages(row));
    }
}
