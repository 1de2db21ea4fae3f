using ModelOps.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Training.Loop;

/// <param name="Loss">A scalar that gradients flow back from.</param>
/// <param name="Tokens">Tokens that the model read, padding left out.</param>
public readonly record struct StepLoss(Tensor Loss, int Tokens);

/// <param name="Tokens">Tokens that the model read over all steps.</param>
public sealed record LoopResult(int Steps, long Tokens, double FinalLoss);

/// <summary>The one training loop. A method of training (pretraining, SFT, …) supplies the loss of each step, this does the rest.</summary>
public sealed class TrainingLoop(CausalLanguageModel model, OptimizationOptions options, TimeProvider time)
{
    private readonly IReadOnlyList<Parameter> parameters = model.TrainableParameters;

    /// <param name="step">The loss of step 0, 1, …; it runs inside a dispose scope of its own.</param>
    /// <exception cref="TrainingFailedException">The loss or the gradient stopped being finite.</exception>
    /// <exception cref="OperationCanceledException">Between two steps.</exception>
    public LoopResult Run(Func<int, StepLoss> step, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        using var optimizer = new AdamW(parameters, options.Beta2, options.WeightDecay);
        var tokens = 0L;
        var loss = double.NaN;
        for (var index = 0; index < options.Steps; index++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var started = time.GetTimestamp();
            var update = Update(optimizer, step, index);
            tokens += update.Tokens;
            loss = update.Loss;
            progress?.Report(new(TrainingStages.Train, index + 1, options.Steps, new Dictionary<string, double>
            {
                [TrainingMetrics.Loss] = update.Loss,
                [TrainingMetrics.LearningRate] = options.LearningRateAt(index),
                [TrainingMetrics.GradientNorm] = update.GradientNorm,
                [TrainingMetrics.TokensPerSecond] = update.Tokens / time.GetElapsedTime(started).TotalSeconds,
            }));
        }
        return new(options.Steps, tokens, loss);
    }

    private (double Loss, double GradientNorm, int Tokens) Update(AdamW optimizer, Func<int, StepLoss> step, int index)
    {
        using var scope = NewDisposeScope();
        optimizer.ClearGradients();
        var (loss, tokens) = step(index);
        var value = loss.item<float>();
        loss.backward();
        var norm = nn.utils.clip_grad_norm_(parameters, options.ClipNorm);
        if (!float.IsFinite(value) || !double.IsFinite(norm)) throw Diverged(index, value, norm);
        optimizer.Step(options.LearningRateAt(index));
        return (value, norm, tokens);
    }

    private TrainingFailedException Diverged(int index, float loss, double norm) => new(
        TrainingFailure.Diverged,
        $"training diverged at step {index + 1} of {options.Steps}: loss {loss}, gradient norm {norm}, learning rate {options.LearningRateAt(index):G3}. "
        + $"Try a learning rate of {options.LearningRate / 4:G2} or less, or a longer warm-up; if it happens at the first step, look for damaged weights in the base model.");
}
