using ModelOps.Training.Plugins;

namespace ModelOps.Training.Loop;

/// <summary>AdamW (Loshchilov and Hutter 2019), or a plugin, under a linear warm-up and a schedule.</summary>
public sealed record OptimizationOptions
{
    private static readonly ChosenAlgorithm<SchedulerPlugin> cosine = new(new CosineSchedule(), new Dictionary<string, double>(), Source: null);

    /// <summary>Updates in all.</summary>
    public required int Steps { get; init; }

    /// <summary>The highest rate, reached at the end of the warm-up.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Share of the steps that warms up.</summary>
    /// <value>The default value is 0.05.</value>
    public double WarmupRatio { get; init; } = 0.05;

    /// <value>The default value is a cosine to zero.</value>
    public ChosenAlgorithm<SchedulerPlugin> Schedule { get; init; } = cosine;

    /// <value>The default value is null: AdamW.</value>
    public ChosenAlgorithm<OptimizerPlugin>? Optimizer { get; init; }

    /// <summary>Share of the steps in which <see cref="WarmupStableDecaySchedule"/> falls to zero.</summary>
    /// <value>The default value is 0.2.</value>
    public double DecayRatio { get; init; } = 0.2;

    /// <summary>Decoupled; applied to matrices only, not to norms.</summary>
    /// <value>The default value is 0.</value>
    public double WeightDecay { get; init; }

    /// <summary>Gradients are scaled down to this L2 norm.</summary>
    /// <value>The default value is 1.</value>
    public double ClipNorm { get; init; } = 1;

    /// <summary>Decay rate of the second moment.</summary>
    /// <value>The default value is 0.999.</value>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Steps between two measurements on the validation rows; the last step is measured too. Null: none.</summary>
    public int? ValidateEvery { get; init; }

    /// <summary>Training stops after so many measurements without a lower loss. Null: it goes on to its last step.</summary>
    public int? Patience { get; init; }

    /// <param name="step">From 0; the first step has a rate above zero, and so has the last.</param>
    public double LearningRateAt(int step)
    {
        var warmup = (int)Math.Ceiling(WarmupRatio * Steps);
        if (step < warmup) return LearningRate * (step + 1) / warmup;
        return LearningRate * PluginCall.Schedule(Schedule, new(step, Steps, warmup, DecayRatio, Schedule.Options));
    }
}
