using ModelOps.Models;
using ModelOps.Training.Data;
using static TorchSharp.torch;

namespace ModelOps.Training.Loop;

/// <summary>Loss on rows that are not learned from.</summary>
internal static class Evaluation
{
    /// <returns>Nats per learned token over all rows.</returns>
    public static double Loss(
        CausalLanguageModel model,
        IReadOnlyList<PackedRow> rows,
        int batchSize,
        string stage,
        IProgress<TrainingProgress>? progress,
        CancellationToken cancellationToken)
    {
        using var frozen = no_grad();
        var (nats, learned, done) = (0.0, 0L, 0);
        var batches = rows.Chunk(batchSize).ToList();
        foreach (var batchRows in batches)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using var batch = new PackedBatch(batchRows, model.Device);
            nats += batch.Loss(model).item<float>() * (double)batch.LearnedTokens;
            learned += batch.LearnedTokens;
            progress?.Report(new(stage, ++done, batches.Count, new Dictionary<string, double> { [TrainingMetrics.Loss] = nats / learned }));
        }
        return nats / learned;
    }
}
