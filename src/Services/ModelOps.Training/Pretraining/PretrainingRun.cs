using ModelOps.ModelFiles;
using ModelOps.Models;
using ModelOps.Training.Checkpoints;
using ModelOps.Training.Data;
using ModelOps.Training.Loop;
using static TorchSharp.torch;

namespace ModelOps.Training.Pretraining;

public sealed record PretrainingOptions
{
    public required OptimizationOptions Optimization { get; init; }

    /// <summary>Rows per step.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Tokens per row.</summary>
    public required int SequenceLength { get; init; }

    public required int Seed { get; init; }

    /// <summary>CPU threads.</summary>
    public required int Threads { get; init; }
}

/// <param name="LossBefore">Nats per token on the held-out documents, before the first step.</param>
public sealed record PretrainingOutcome(int Steps, long Tokens, double LossBefore, double LossAfter, double Seconds);

/// <summary>Trains a new model on plain documents.</summary>
public static class PretrainingRun
{
    /// <param name="documents">Token ids with their end-of-text token; none longer than a row.</param>
    /// <param name="heldOut">Documents to measure on.</param>
    /// <param name="weightsPath">The safetensors file that is written at the end, complete or not at all.</param>
    /// <exception cref="TrainingFailedException">Training diverged.</exception>
    public static PretrainingOutcome Run(
        ModelConfig config,
        IReadOnlyList<int[]> documents,
        IReadOnlyList<int[]> heldOut,
        PretrainingOptions options,
        string weightsPath,
        TimeProvider time,
        IProgress<TrainingProgress>? progress,
        CancellationToken cancellationToken)
    {
        TorchNatives.Load();
        set_num_threads(options.Threads);
        var started = time.GetTimestamp();
        using var model = CausalLanguageModel.Initialize(config, options.Seed);
        var order = new BatchOrder(Rows(documents, options), options.BatchSize, options.Seed);
        var heldOutRows = Rows(heldOut, options);
        var loop = new TrainingLoop(model, options.Optimization, time, Step);
        var end = loop.Run(() => new RunState { Steps = 0, Tokens = 0, LossBefore = Measure(TrainingStages.EvaluateBefore) }, progress, cancellationToken);
        var after = Measure(TrainingStages.EvaluateAfter);
        model.SaveWeights(weightsPath, cancellationToken);
        return new(end.Steps, end.Tokens, end.LossBefore, after, time.GetElapsedTime(started).TotalSeconds);

        double Measure(string stage) => Evaluation.Loss(model, heldOutRows, options.BatchSize, stage, progress, cancellationToken);

        IEnumerable<StepLoss> Step(int step)
        {
            using var batch = new PackedBatch(order.BatchOf(step), model.Device);
            yield return new(batch.Loss(model), batch.Tokens);
        }
    }

    private static IReadOnlyList<PackedRow> Rows(IReadOnlyList<int[]> documents, PretrainingOptions options) =>
        SequencePacker.Pack(documents.Select(TrainingSequence.OfText), options.SequenceLength);
}
