using System.Globalization;
using ModelOps.ModelFiles;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training.Checkpoints;
using ModelOps.Training.Data;
using ModelOps.Training.Loop;
using ModelOps.Training.Plugins;
using ModelOps.Training.Runs;
using TorchSharp;

namespace ModelOps.Training;

/// <summary>A run by a recipe: the model learns to say what the assistant says in conversations, or to go on in texts.</summary>
/// <param name="algorithms">What recipes can name; null: what is built in.</param>
public sealed class RecipeTraining(TimeProvider time, AlgorithmRegistry? algorithms = null)
{
    /// <exception cref="TrainingFailedException">The recipe, the rows or the course of training do not allow to go on; nothing is written.</exception>
    /// <exception cref="InvalidModelFileException">The base model is incomplete or broken.</exception>
    /// <exception cref="IOException">The output folder is not empty, or cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Between two steps; of all that is written only a checkpoint stays.</exception>
    public Task<TrainingOutcome> RunAsync(TrainingRequest request, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken) =>
        Task.Factory.StartNew(
            () => Guarded(() => Train(request, progress, cancellationToken)), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>What <see cref="RunAsync"/> would do. Nothing is written or trained.</summary>
    /// <exception cref="TrainingFailedException">The recipe or the rows do not allow it. That memory does not suffice stands in the plan.</exception>
    /// <exception cref="InvalidModelFileException">The base model is incomplete or broken.</exception>
    public Task<TrainingPlan> PlanAsync(TrainingRequest request, CancellationToken cancellationToken) =>
        Task.Factory.StartNew(() => Guarded(() => Plan(request, cancellationToken)), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (PluginException fault)
        {
            throw new TrainingFailedException(TrainingFailure.PluginFailed, fault.Message, fault);
        }
    }

    private TrainingOutcome Train(TrainingRequest request, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        ThrowIfOccupied(request.OutputFolder);

        // 1. Rows to packed sequences, and what the recipe left open.
        var (folder, chosen, encoder, rows, recipe, memory) = Prepare(request, cancellationToken);
        foreach (var advice in rows.Advice(folder.Config)) progress?.Report(TrainingProgress.Say(TrainingStages.Prepare, 0, 0, advice));
        memory.ThrowUnlessFitting(folder.Config, recipe, request.MemoryLimit ?? MemoryPlan.Available());
        progress?.Report(TrainingProgress.Say(TrainingStages.Prepare, 0, recipe.Steps, Text(recipe, memory)));

        // 2. The model, with a fresh adapter, which changes nothing yet, unless its own weights are trained.
        TorchNatives.Load();
        torch.set_num_threads(ThreadsOf(request));
        using var model = TrainedModel.Load(folder, recipe);

        // 3. Measure, train, measure.
        using var checkpoints = new RunFolder(request);
        var saved = new CheckpointFolder(checkpoints.Path, rows.Fingerprint(recipe, request.BaseModelName ?? request.ModelFolder));
        var order = new BatchOrder(rows.Train, recipe.BatchSize * recipe.Accumulation, recipe.Seed);
        var answers = new SampledAnswers(
            encoder, rows.EvaluatedOn == EvaluationRows.Validation ? request.ValidationRows : request.TrainRows, recipe.Samples, recipe.SequenceLength);
        var loop = new TrainingLoop(model, Optimization(recipe, chosen), time, Step)
        {
            Validate = steps => Measure(TrainingStages.Validate, steps),
            Checkpoints = new CheckpointSchedule(saved, TimeSpan.FromSeconds(request.Recipe.CheckpointSeconds), time, request.CheckpointSaved),
            Meter = new ThroughputMeter(model.TrainingFlopsPerToken(rows.Length), ThroughputMeter.MeasurePeak(model.Device, time)),
        };
        var end = loop.Run(
            () => new RunState { Steps = 0, Tokens = 0, LossBefore = MeasureAt(TrainingStages.EvaluateBefore, 0) }, progress, cancellationToken);
        var after = end.Best is { } best
            ? Measure(TrainingStages.EvaluateAfter, best.Steps) // its loss was told when it was found
            : MeasureAt(TrainingStages.EvaluateAfter, end.Steps);

        // 4. The adapter, or the model, appears whole.
        TrainedModel.Save(model, folder, recipe, request, cancellationToken);
        return new(
            end.Steps, end.Tokens, end.LossBefore, after, time.GetElapsedTime(started).TotalSeconds, recipe, rows.EvaluatedOn, rows.TrainReport, rows.ValidationReport);

        double MeasureAt(string stage, int steps)
        {
            var loss = Measure(stage, steps);
            progress?.Report(loop.Validated(steps, loss));
            return loss;
        }

        double Measure(string stage, int steps)
        {
            var loss = Evaluation.Loss(model, rows.Evaluation, recipe.BatchSize, stage, progress, cancellationToken);
            answers.Tell(model, stage, steps, recipe.BatchSize, progress, cancellationToken);
            return loss;
        }

        IEnumerable<StepLoss> Step(int step)
        {
            var all = order.BatchOf(step);
            var learned = (double)all.Sum(row => row.LearnedCount);
            foreach (var part in all.Chunk(recipe.BatchSize))
            {
                using var batch = new PackedBatch(part, model.Device);
                yield return new(chosen.LossOf(batch, model), batch.Tokens, batch.LearnedTokens / learned);
            }
        }
    }

    private Prepared Prepare(TrainingRequest request, CancellationToken cancellationToken)
    {
        var folder = ModelFolder.Open(request.ModelFolder);
        List<string> faults = [.. RecipeResolution.Check(request.Recipe, folder.Config)];
        var chosen = TrainingAlgorithms.Choose(request.Recipe, algorithms ?? AlgorithmRegistry.BuiltIn, faults);
        ThrowIfInvalid(faults);
        var encoder = ExampleEncoder.For(request.Recipe, folder);
        var rows = TrainingRows.Prepare(request, folder.Config, encoder, cancellationToken);
        var recipe = RecipeResolution.Resolve(request.Recipe, chosen, folder.Config, rows.Length, rows.Train.Count);
        return new(folder, chosen, encoder, rows, recipe, MemoryPlan.Of(folder.Config, recipe));
    }

    private TrainingPlan Plan(TrainingRequest request, CancellationToken cancellationToken)
    {
        var (folder, _, _, rows, recipe, memory) = Prepare(request, cancellationToken);
        var available = request.MemoryLimit ?? MemoryPlan.Available();
        TorchNatives.Load();
        torch.set_num_threads(ThreadsOf(request));
        return new()
        {
            Recipe = recipe,
            TrainRows = rows.TrainReport,
            ValidationRows = rows.ValidationReport,
            PackedRows = rows.Train.Count,
            Tokens = rows.Train.Sum(row => (long)row.Length),
            Memory = memory.Parts,
            MemoryNeeded = memory.Total,
            MemoryAvailable = available,
            WouldFit = memory.WouldFit(folder.Config, recipe, available),
            Advice = [.. rows.Advice(folder.Config)],
            Work = rows.Work(folder.Config, recipe, ThroughputMeter.MeasurePeak(recipe.Device == ComputeDevice.Cuda && torch.cuda.is_available() ? torch.CUDA : torch.CPU, time)),
        };
    }

    private static int ThreadsOf(TrainingRequest request) => request.Threads ?? Math.Max(1, Environment.ProcessorCount - 1);

    private static string Text(ResolvedRecipe recipe, MemoryPlan memory) => string.Create(
        CultureInfo.InvariantCulture,
        $"{recipe.Steps} steps of {recipe.BatchSize * recipe.Accumulation} rows of up to {recipe.SequenceLength} tokens, learning rate {recipe.LearningRate:G3}; memory by part: {memory}");

    private static OptimizationOptions Optimization(ResolvedRecipe recipe, TrainingAlgorithms chosen) => new()
    {
        Steps = recipe.Steps,
        LearningRate = recipe.LearningRate,
        Schedule = chosen.Schedule,
        Optimizer = chosen.Optimizer,
        WarmupRatio = recipe.WarmupRatio,
        DecayRatio = recipe.DecayRatio,
        WeightDecay = recipe.WeightDecay,
        ClipNorm = recipe.ClipNorm,
        Beta2 = recipe.Beta2,
        ValidateEvery = recipe.ValidateEvery,
        Patience = recipe.Patience,
    };

    private static void ThrowIfOccupied(string output)
    {
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new IOException($"{output} exists and is not an empty folder; choose another output folder or delete it");
    }

    private static void ThrowIfInvalid(List<string> errors)
    {
        if (errors.Count > 0) throw new TrainingFailedException(TrainingFailure.InvalidRecipe, "the recipe cannot be used: " + string.Join("; ", errors));
    }

    /// <summary>All that is known before the model is loaded.</summary>
    private sealed record Prepared(
        ModelFolder Folder, TrainingAlgorithms Chosen, ExampleEncoder Encoder, TrainingRows Rows, ResolvedRecipe Recipe, MemoryPlan Memory);

    /// <summary>The folder of the run's checkpoints: the caller's, or one that goes with the run.</summary>
    private sealed class RunFolder(TrainingRequest request) : IDisposable
    {
        public string Path { get; } = request.CheckpointFolder ?? $"{System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(request.OutputFolder))}.{Guid.NewGuid():N}.checkpoints";

        public void Dispose()
        {
            if (request.CheckpointFolder is null && Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
        }
    }
}
