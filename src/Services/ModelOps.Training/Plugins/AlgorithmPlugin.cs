using ModelOps.ModelFiles.ChatTemplates;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Training.Plugins;

/// <summary>What a plugin computes.</summary>
public enum AlgorithmKind
{
    Loss,
    Optimizer,
    Scheduler,
    Metric,
}

/// <summary>
/// An algorithm with a name that recipes and commands choose it by. One instance, made with the constructor without parameters, serves every run
/// of a process, one call at a time; what it needs of a call stands in the context.
/// </summary>
/// <typeparam name="TContext">What it is given.</typeparam>
/// <typeparam name="TResult">What it makes of it.</typeparam>
public abstract class AlgorithmPlugin<TContext, TResult> : IAlgorithmPlugin
{
    public abstract AlgorithmKind Kind { get; }

    public abstract string Name { get; }

    public virtual IReadOnlyDictionary<string, double> Options { get; } = new Dictionary<string, double>();

    public abstract TResult Apply(TContext context);
}

/// <summary>An algorithm of any kind.</summary>
public interface IAlgorithmPlugin
{
    AlgorithmKind Kind { get; }

    /// <summary>Lower-case letters, digits and <c>_</c>, a letter first. Unique within the kind.</summary>
    string Name { get; }

    /// <summary>What can be set of it, by name, with defaults.</summary>
    IReadOnlyDictionary<string, double> Options { get; }
}

/// <summary>What training makes small: a finite scalar in fp32 that gradients flow back from, the mean over the targets.</summary>
public abstract class LossPlugin : AlgorithmPlugin<LossContext, Tensor>
{
    public sealed override AlgorithmKind Kind => AlgorithmKind.Loss;
}

/// <param name="Logits">(N, V) fp32: scores of the vocabulary at the N learned positions of a batch.</param>
/// <param name="Targets">(N) int64: the token that should stand there.</param>
/// <param name="Options">Of the plugin, all of them.</param>
public sealed record LossContext(Tensor Logits, Tensor Targets, IReadOnlyDictionary<string, double> Options);

/// <summary>How a parameter changes in a step: what is added to it, of its shape. Called for each parameter, without gradients.</summary>
public abstract class OptimizerPlugin : AlgorithmPlugin<OptimizerContext, Tensor>
{
    public sealed override AlgorithmKind Kind => AlgorithmKind.Optimizer;

    /// <summary>Names of what it remembers of each parameter: tensors of the parameter's shape, zero at first, which checkpoints keep.</summary>
    public virtual IReadOnlyList<string> State { get; } = [];
}

/// <param name="Parameter">What is trained, as it is.</param>
/// <param name="Gradient">Clipped.</param>
/// <param name="State">By the names of <see cref="OptimizerPlugin.State"/>; to be changed in place.</param>
/// <param name="Step">From 1.</param>
/// <param name="LearningRate">Of this step, by the schedule.</param>
/// <param name="WeightDecay">Of the recipe.</param>
/// <param name="Options">Of the plugin, all of them.</param>
public sealed record OptimizerContext(
    Parameter Parameter,
    Tensor Gradient,
    IReadOnlyDictionary<string, Tensor> State,
    int Step,
    double LearningRate,
    double WeightDecay,
    IReadOnlyDictionary<string, double> Options);

/// <summary>The learning rate behind the warm-up, as a share of the highest: finite, at least 0.</summary>
public abstract class SchedulerPlugin : AlgorithmPlugin<SchedulerContext, double>
{
    public sealed override AlgorithmKind Kind => AlgorithmKind.Scheduler;
}

/// <param name="Step">From 0; at least <paramref name="WarmupSteps"/>.</param>
/// <param name="Steps">Updates in all.</param>
/// <param name="WarmupSteps">Steps in which the rate rises, which are over.</param>
/// <param name="DecayRatio">Of the recipe: share of the steps in which a schedule that ends with a fall falls.</param>
/// <param name="Options">Of the plugin, all of them.</param>
public sealed record SchedulerContext(int Step, int Steps, int WarmupSteps, double DecayRatio, IReadOnlyDictionary<string, double> Options)
{
    /// <summary>What is left of the steps behind the warm-up, this one with them: from 1 falling to above 0.</summary>
    public double Left => (double)(Steps - Step) / (Steps - WarmupSteps);
}

/// <summary>Judges an answer that the model wrote by the one that the row has: a finite number.</summary>
public abstract class MetricPlugin : AlgorithmPlugin<MetricContext, double>
{
    public sealed override AlgorithmKind Kind => AlgorithmKind.Metric;
}

/// <param name="Prompt">The conversation up to the answer.</param>
/// <param name="Reference">The row's answer.</param>
/// <param name="Answer">The model's.</param>
/// <param name="Options">Of the plugin, all of them.</param>
public sealed record MetricContext(
    IReadOnlyList<ChatMessage> Prompt, string Reference, string Answer, IReadOnlyDictionary<string, double> Options);
