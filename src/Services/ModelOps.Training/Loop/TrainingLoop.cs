using ModelOps.Models;
using ModelOps.Training.Checkpoints;
using ModelOps.Training.Plugins;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Training.Loop;

/// <summary>A part of a step; gradients add up over the parts.</summary>
/// <param name="Loss">A scalar that gradients flow back from: the mean over the part's learned tokens.</param>
/// <param name="Tokens">Tokens that the model read, padding left out.</param>
/// <param name="Share">Of the step's learned tokens; the shares of a step add up to 1.</param>
public readonly record struct StepLoss(Tensor Loss, int Tokens, double Share = 1);

/// <summary>The one training loop. A method of training (pretraining, SFT, …) supplies the loss of each step, this does the rest.</summary>
/// <param name="step">The parts of step 0, 1, …, made one after the other. The same step must always give the same parts.</param>
public sealed class TrainingLoop(CausalLanguageModel model, OptimizationOptions options, TimeProvider time, Func<int, IEnumerable<StepLoss>> step)
{
    private readonly IReadOnlyList<Parameter> parameters = model.TrainableParameters;

    /// <summary>Loss on rows that are not learned from, in nats per learned token, after that many steps; needed where <see cref="OptimizationOptions.ValidateEvery"/> is set.</summary>
    public Func<int, double>? Validate { get; init; }

    internal CheckpointSchedule? Checkpoints { get; init; }

    internal ThroughputMeter? Meter { get; init; }

    /// <param name="begin">Where to begin if there is no checkpoint; then it is called before anything else.</param>
    /// <returns>Where it ended: behind the last step, or where validation stopped getting better. The model is as it was at the best validation, if there was one.</returns>
    /// <exception cref="TrainingFailedException">The loss or the gradient stopped being finite, or the loss left its course.</exception>
    /// <exception cref="PluginException">A plugin threw, or gave what it may not.</exception>
    /// <exception cref="OperationCanceledException">Between two steps; a checkpoint was saved.</exception>
    public RunState Run(Func<RunState> begin, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        if (options.ValidateEvery is not null && (Validate is null || Checkpoints is null))
            throw new InvalidOperationException("validation needs rows to measure on, and checkpoints to go back to the best one");
        using var scope = NewDisposeScope();
        using Optimizer optimizer = options.Optimizer is { } chosen
            ? new PluginOptimizer(parameters, chosen, options.WeightDecay)
            : new AdamW(parameters, options.Beta2, options.WeightDecay);
        var restored = Checkpoints?.Restore(Tensors(optimizer));
        if (restored is not null) progress?.Report(GoesOn(restored));
        var state = restored ?? begin();
        optimizer.Steps = state.Steps;
        var spikes = new SpikeWatch(state.RecentLosses, state.LossBefore);
        while (state.Steps < options.Steps && !HasStoppedImproving(state))
        {
            StopIfCancelled(state, optimizer, cancellationToken);

            // 1. One update.
            var started = time.GetTimestamp();
            var update = Update(optimizer, state.Steps);
            spikes.Add(update.Loss);
            if (spikes.HasLeftCourse) throw LeftCourse(state.Steps, update.Loss, spikes.Usual);
            state = state with { Steps = state.Steps + 1, Tokens = state.Tokens + update.Tokens, RecentLosses = spikes.Recent };
            progress?.Report(Report(state.Steps, update, time.GetElapsedTime(started)));

            // 2. Measure, and remember the best.
            var improved = Validates(state.Steps) && Measure(ref state, progress);
            if (improved || Checkpoints?.IsDue() == true) Checkpoints?.Save(state, Tensors(optimizer));
        }
        Checkpoints?.Save(state, Tensors(optimizer));
        if (state.Best is { } best && best.Steps < state.Steps) Checkpoints!.RestoreBest(best, Parameters());
        return state;
    }

    /// <summary>Steps without a lower validation loss are as many as <see cref="OptimizationOptions.Patience"/> allows.</summary>
    private bool HasStoppedImproving(RunState state) =>
        options is { Patience: { } patience, ValidateEvery: { } every } && state.Best is { } best && state.Steps - best.Steps >= (long)patience * every;

    private bool Validates(int steps) => options.ValidateEvery is { } every && (steps % every == 0 || steps == options.Steps);

    private bool Measure(ref RunState state, IProgress<TrainingProgress>? progress)
    {
        var loss = Validate!(state.Steps);
        progress?.Report(Validated(state.Steps, loss));
        if (state.Best is { } best && loss >= best.Loss) return false;
        state = state with { Best = new(state.Steps, loss) };
        return true;
    }

    private void StopIfCancelled(RunState state, Optimizer optimizer, CancellationToken cancellationToken)
    {
        if (!cancellationToken.IsCancellationRequested) return;
        Checkpoints?.Save(state, Tensors(optimizer));
        cancellationToken.ThrowIfCancellationRequested();
    }

    private (double Loss, double GradientNorm, int Tokens) Update(Optimizer optimizer, int index)
    {
        using var scope = NewDisposeScope();
        optimizer.ClearGradients();
        model.Reseed(index);
        var (loss, tokens) = Accumulate(step(index));
        var norm = nn.utils.clip_grad_norm_(parameters, options.ClipNorm);
        if (!double.IsFinite(loss) || !double.IsFinite(norm)) throw Diverged(index, loss, norm);
        optimizer.Step(options.LearningRateAt(index));
        return (loss, norm, tokens);
    }

    private static (double Loss, int Tokens) Accumulate(IEnumerable<StepLoss> parts)
    {
        var (loss, tokens) = (0.0, 0);
        using var next = parts.GetEnumerator();
        while (true)
        {
            using var scope = NewDisposeScope();
            if (!next.MoveNext()) return (loss, tokens);
            var part = next.Current;
            using Scalar share = part.Share;
            loss += part.Loss.item<float>() * part.Share;
            tokens += part.Tokens;
            (part.Loss * share).backward();
        }
    }

    /// <summary>What a measurement after that many steps found.</summary>
    internal TrainingProgress Validated(int steps, double loss) =>
        new(TrainingStages.Validated, steps, options.Steps, new Dictionary<string, double> { [TrainingMetrics.ValidationLoss] = loss });

    private TrainingProgress GoesOn(RunState state) =>
        TrainingProgress.Say(TrainingStages.Train, state.Steps, options.Steps, $"goes on at step {state.Steps} of {options.Steps}, from a checkpoint");

    private TrainingProgress Report(int steps, (double Loss, double GradientNorm, int Tokens) update, TimeSpan elapsed)
    {
        var metrics = new Dictionary<string, double>
        {
            [TrainingMetrics.Loss] = update.Loss,
            [TrainingMetrics.LearningRate] = options.LearningRateAt(steps - 1),
            [TrainingMetrics.GradientNorm] = update.GradientNorm,
            [TrainingMetrics.TokensPerSecond] = update.Tokens / elapsed.TotalSeconds,
        };
        Meter?.Add(metrics, update.Tokens, elapsed, options.Steps - steps);
        return new(TrainingStages.Train, steps, options.Steps, metrics);
    }

    private List<(string Name, Tensor Tensor)> Tensors(Optimizer optimizer) => [.. Parameters(), .. optimizer.State];

    private List<(string Name, Tensor Tensor)> Parameters() => [.. parameters.Select((parameter, i) => ($"parameter.{i}", (Tensor)parameter))];

    private TrainingFailedException Diverged(int index, double loss, double norm) => new(
        TrainingFailure.Diverged,
        $"training diverged at step {index + 1} of {options.Steps}: loss {loss}, gradient norm {norm}, learning rate {options.LearningRateAt(index):G3}. "
        + $"{Advice}; if it happens at the first step, look for damaged weights in the base model.");

    private TrainingFailedException LeftCourse(int index, double loss, double usual) => new(
        TrainingFailure.Diverged,
        $"training left its course at step {index + 1} of {options.Steps}: the loss is {loss:G3} and stays far above the {usual:G3} that it was. {Advice}.");

    private string Advice => $"Try a learning rate of {options.LearningRate / 4:G2} or less, or a longer warm-up";
}
