using System.Text.Json;
using System.Text.Json.Serialization;
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

    /// <summary>CPU threads; a run may go on with another number.</summary>
    public required int Threads { get; init; }

    /// <summary>Least time between two checkpoints.</summary>
    /// <value>The default value is 30 seconds.</value>
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromSeconds(30);
}

/// <param name="LossBefore">Nats per token on the held-out documents, before the first step.</param>
public sealed record PretrainingOutcome(int Steps, long Tokens, double LossBefore, double LossAfter, double Seconds);

/// <summary>Trains a new model on plain documents.</summary>
public static class PretrainingRun
{
    /// <param name="documents">Token ids with their end-of-text token; none longer than a row.</param>
    /// <param name="heldOut">Documents to measure on.</param>
    /// <param name="checkpointFolder">
    /// Where checkpoints are kept while the run goes on: run again with the same arguments it goes on from the newest. The caller removes it in the end.
    /// </param>
    /// <param name="weightsPath">The safetensors file that is written at the end, complete or not at all.</param>
    /// <exception cref="TrainingFailedException">Training diverged, or the checkpoints are of another run.</exception>
    /// <exception cref="OperationCanceledException">Between two steps; a checkpoint was saved.</exception>
    public static PretrainingOutcome Run(
        ModelConfig config,
        IReadOnlyList<int[]> documents,
        IReadOnlyList<int[]> heldOut,
        PretrainingOptions options,
        string checkpointFolder,
        string weightsPath,
        TimeProvider time,
        IProgress<TrainingProgress>? progress,
        CancellationToken cancellationToken)
    {
        TorchNatives.Load();
        set_num_threads(options.Threads);
        var started = time.GetTimestamp();
        using var model = CausalLanguageModel.Initialize(config, options.Seed);
        var (rows, heldOutRows) = (Rows(documents, options), Rows(heldOut, options));
        var order = new BatchOrder(rows, options.BatchSize, options.Seed);
        var saved = new CheckpointFolder(checkpointFolder, Fingerprint(config, options, rows.Concat(heldOutRows)));
        var loop = new TrainingLoop(model, options.Optimization, time, Step) { Checkpoints = new(saved, options.CheckpointInterval, time) };
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

    private static string Fingerprint(ModelConfig config, PretrainingOptions options, IEnumerable<PackedRow> rows) =>
        RunFingerprint.Of([config.ToUtf8Bytes(), JsonSerializer.SerializeToUtf8Bytes(options with { Threads = 0, CheckpointInterval = default }, PretrainingJson.Default.PretrainingOptions)], rows);
}

[JsonSerializable(typeof(PretrainingOptions))]
internal sealed partial class PretrainingJson : JsonSerializerContext;
