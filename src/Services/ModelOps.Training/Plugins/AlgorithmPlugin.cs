using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Training.Plugins;

/// <summary>What a plugin computes.</summary>
public enum AlgorithmKind
{
    Metric,
}

/// <summary>
/// An algorithm with a name that recipes and commands choose it by. One instance serves every run of a process, one call at a time; what it
/// needs of a call stands in the context.
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
