namespace ModelOps.Training.Loop;

/// <summary>AdamW (Loshchilov and Hutter 2019) under a linear warm-up and a cosine decay to zero.</summary>
public sealed record OptimizationOptions
{
    /// <summary>Updates in all.</summary>
    public required int Steps { get; init; }

    /// <summary>The highest rate, reached at the end of the warm-up.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Share of the steps that warms up.</summary>
    /// <value>The default value is 0.05.</value>
    public double WarmupRatio { get; init; } = 0.05;

    /// <summary>Decoupled; applied to matrices only, not to norms.</summary>
    /// <value>The default value is 0.</value>
    public double WeightDecay { get; init; }

    /// <summary>Gradients are scaled down to this L2 norm.</summary>
    /// <value>The default value is 1.</value>
    public double ClipNorm { get; init; } = 1;

    /// <summary>Decay rate of the second moment.</summary>
    /// <value>The default value is 0.999.</value>
    public double Beta2 { get; init; } = 0.999;

    /// <param name="step">From 0; the first step has a rate above zero, and so has the last.</param>
    public double LearningRateAt(int step)
    {
        var warmup = (int)Math.Ceiling(WarmupRatio * Steps);
        if (step < warmup) return LearningRate * (step + 1) / warmup;
        var progress = (double)(step - warmup) / (Steps - warmup);
        return LearningRate * 0.5 * (1 + Math.Cos(Math.PI * progress));
    }
}
