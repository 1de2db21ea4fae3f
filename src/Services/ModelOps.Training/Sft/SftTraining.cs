using ModelOps.ModelFiles;
using ModelOps.Models;
using ModelOps.Training.Data;
using ModelOps.Training.Loop;
using ModelOps.Training.Sft;
using TorchSharp;

namespace ModelOps.Training;

/// <summary>Supervised fine-tuning with LoRA: the model learns to say what the assistant says in the rows.</summary>
public sealed class SftTraining(TimeProvider time)
{
    private const int TrainSampleRows = 128;

    /// <exception cref="TrainingFailedException">The recipe, the rows or the course of training do not allow to go on; nothing is written.</exception>
    /// <exception cref="InvalidModelFileException">The base model is incomplete or broken.</exception>
    /// <exception cref="IOException">The output folder is not empty, or cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Between two steps; nothing is written.</exception>
    public Task<SftOutcome> RunAsync(SftRequest request, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken) =>
        Task.Factory.StartNew(
            () => Run(request, progress, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private SftOutcome Run(SftRequest request, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        ThrowIfOccupied(request.OutputFolder);
        var folder = ModelFolder.Open(request.ModelFolder);
        ThrowIfInvalid(request.Recipe.Validate(folder.Config));

        // 1. Rows to packed sequences.
        var encoder = new ExampleEncoder(folder);
        var train = EncodedRows.Encode(encoder, request.TrainRows, cancellationToken);
        if (train.Sequences.Count == 0) throw NothingToLearn(train);
        var length = RecipeResolution.SequenceLength(request.Recipe, folder.Config, train.Longest);
        train = train.Fit(length);
        if (train.Sequences.Count == 0) throw NothingToLearn(train);
        var validation = EncodedRows.Encode(encoder, request.ValidationRows, cancellationToken).Fit(length);
        var trainRows = SequencePacker.Pack(train.Sequences, length);
        var recipe = RecipeResolution.Resolve(request.Recipe, folder.Config, length, trainRows.Count);
        var evaluatedOn = validation.Sequences.Count > 0 ? EvaluationRows.Validation : EvaluationRows.TrainSample;
        var evaluationRows = SequencePacker.Pack(
            evaluatedOn == EvaluationRows.Validation ? validation.Sequences : train.Sample(TrainSampleRows, recipe.Seed), length);

        // 2. The model with a fresh adapter, which changes nothing yet.
        TorchNatives.Load();
        torch.set_num_threads(request.Threads ?? Math.Max(1, Environment.ProcessorCount - 1));
        using var model = CausalLanguageModel.Load(folder);
        AttachLora(model, recipe);

        // 3. Measure, train, measure.
        var before = Evaluation.Loss(model, evaluationRows, recipe.BatchSize, TrainingStages.EvaluateBefore, progress, cancellationToken);
        var result = Train(model, trainRows, recipe, progress, cancellationToken);
        var after = Evaluation.Loss(model, evaluationRows, recipe.BatchSize, TrainingStages.EvaluateAfter, progress, cancellationToken);

        // 4. The adapter appears whole.
        Save(model, request, cancellationToken);
        return new(
            result.Steps, result.Tokens, before, after, time.GetElapsedTime(started).TotalSeconds, recipe, evaluatedOn, train.Report, validation.Report);
    }

    private static void AttachLora(CausalLanguageModel model, ResolvedSftRecipe recipe)
    {
        try
        {
            var options = new LoraOptions { Rank = recipe.Rank, Alpha = recipe.Alpha, Dropout = recipe.Dropout, TargetModules = recipe.TargetModules };
            model.AttachLora(options, recipe.Seed);
        }
        catch (ArgumentException exception)
        {
            throw new TrainingFailedException(TrainingFailure.InvalidRecipe, exception.Message, exception);
        }
    }

    private LoopResult Train(
        CausalLanguageModel model,
        IReadOnlyList<PackedRow> rows,
        ResolvedSftRecipe recipe,
        IProgress<TrainingProgress>? progress,
        CancellationToken cancellationToken)
    {
        var order = new BatchOrder(rows, recipe.BatchSize, recipe.Seed);
        var options = new OptimizationOptions
        {
            Steps = recipe.Steps,
            LearningRate = recipe.LearningRate,
            WarmupRatio = recipe.WarmupRatio,
            WeightDecay = recipe.WeightDecay,
            ClipNorm = recipe.ClipNorm,
        };
        return new TrainingLoop(model, options, time).Run(Step, progress, cancellationToken);

        StepLoss Step(int step)
        {
            using var batch = new PackedBatch(order.BatchOf(step), model.Device);
            return new(batch.Loss(model), batch.Tokens);
        }
    }

    private static void Save(CausalLanguageModel model, SftRequest request, CancellationToken cancellationToken)
    {
        var output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(request.OutputFolder));
        var partial = $"{output}.{Guid.NewGuid():N}.partial";
        try
        {
            model.SaveAdapter(partial, request.BaseModelName, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            if (Directory.Exists(output)) Directory.Delete(output); // empty, or this fails
            Directory.Move(partial, output);
        }
        finally
        {
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
        }
    }

    private static void ThrowIfOccupied(string output)
    {
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new IOException($"{output} exists and is not an empty folder; choose another output folder or delete it");
    }

    private static void ThrowIfInvalid(IReadOnlyList<string> errors)
    {
        if (errors.Count > 0) throw new TrainingFailedException(TrainingFailure.InvalidRecipe, "the recipe cannot be used: " + string.Join("; ", errors));
    }

    private static TrainingFailedException NothingToLearn(EncodedRows rows) => new(
        TrainingFailure.UnusableRows,
        rows.Skipped == 0
            ? "there are no training rows"
            : $"none of the {rows.Skipped} training rows can be learned from; {rows.FirstSkipReason}");
}
