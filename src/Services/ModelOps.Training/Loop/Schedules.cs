using ModelOps.Training.Plugins;

namespace ModelOps.Training.Loop;

/// <summary>Half a cosine down to zero.</summary>
public sealed class CosineSchedule : SchedulerPlugin
{
    public override string Name => "cosine";

    public override double Apply(SchedulerContext context) => 0.5 * (1 + Math.Cos(Math.PI * (1 - context.Left)));
}

/// <summary>A straight line down to zero.</summary>
public sealed class LinearSchedule : SchedulerPlugin
{
    public override string Name => "linear";

    public override double Apply(SchedulerContext context) => context.Left;
}

/// <summary>Warm-up, stable, decay (Hu et al. 2024): the highest rate, and at the end a straight line down to zero.</summary>
public sealed class WarmupStableDecaySchedule : SchedulerPlugin
{
    public override string Name => "wsd";

    public override double Apply(SchedulerContext context) => Math.Min(1, (context.Steps - context.Step) / Math.Max(1, context.DecayRatio * context.Steps));
}

/// <summary>The highest rate to the end.</summary>
public sealed class ConstantSchedule : SchedulerPlugin
{
    public override string Name => "constant";

    public override double Apply(SchedulerContext context) => 1;
}
