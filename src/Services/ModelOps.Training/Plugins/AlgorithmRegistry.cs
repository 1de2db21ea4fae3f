using System.Globalization;
using ModelOps.Recipes;
using ModelOps.Training.Evaluations;
using ModelOps.Training.Evaluations.Metrics;
using ModelOps.Training.Loop;

namespace ModelOps.Training.Plugins;

/// <summary>An algorithm that was chosen, with all of its options.</summary>
/// <param name="Source">The assembly that it came in; null: it is built in.</param>
public sealed record ChosenAlgorithm<T>(T Plugin, IReadOnlyDictionary<string, double> Options, PluginAssembly? Source)
    where T : IAlgorithmPlugin
{
    /// <summary>As an <see cref="AlgorithmChoice"/> is written, with every option.</summary>
    public override string ToString() => Options.Count == 0
        ? Plugin.Name
        : $"{Plugin.Name}({string.Join(", ", Options.Select(option => string.Create(CultureInfo.InvariantCulture, $"{option.Key}={option.Value}")))})";
}

/// <summary>An assembly of plugins, by its content.</summary>
/// <param name="Name">Its folder's.</param>
/// <param name="Sha256">Of the assembly's file, hex.</param>
public sealed record PluginAssembly(string Name, string Sha256);

/// <summary>The algorithms that can be chosen by name: those that are built in and those of plugins.</summary>
public sealed class AlgorithmRegistry
{
    /// <summary>The loss that is computed in pieces, without the logits of a whole batch.</summary>
    public const string CrossEntropy = "cross_entropy";

    public const string AdamW = "adamw";

    private static readonly IAlgorithmPlugin[] builtIn =
    [
        new CosineSchedule(), new LinearSchedule(), new WarmupStableDecaySchedule(), new ConstantSchedule(), new ExactMatch(), new RougeL(), new JsonValidity(),
    ];

    /// <summary>What is built in and no plugin: it has a way of its own through training.</summary>
    private static readonly (AlgorithmKind Kind, string Name)[] native = [(AlgorithmKind.Loss, CrossEntropy), (AlgorithmKind.Optimizer, AdamW)];

    private readonly Dictionary<(AlgorithmKind Kind, string Name), (IAlgorithmPlugin Plugin, PluginAssembly? Source)> algorithms =
        builtIn.ToDictionary(plugin => (plugin.Kind, plugin.Name), plugin => (plugin, (PluginAssembly?)null));

    private readonly List<string> refused = [];

    /// <summary>Those that are built in.</summary>
    public static AlgorithmRegistry BuiltIn { get; } = new();

    /// <summary>Why plugins that are there, or should be, are not loaded.</summary>
    public IReadOnlyList<string> Refused => refused;

    /// <param name="plugin">Replaces nothing: its name is new within its kind.</param>
    /// <exception cref="PluginException">The name is taken or none, or it is of no kind.</exception>
    public void Add(IAlgorithmPlugin plugin, PluginAssembly source)
    {
        if (plugin is not (LossPlugin or OptimizerPlugin or SchedulerPlugin or MetricPlugin))
            throw new PluginException($"the plugin {source.Name} has {plugin.GetType().Name}, which is of no kind: derive it from LossPlugin, OptimizerPlugin, SchedulerPlugin or MetricPlugin");
        if (plugin.Options.Keys.Prepend(plugin.Name).FirstOrDefault(name => AlgorithmChoice.TryParse(name) is null || name.Contains('(', StringComparison.Ordinal)) is { } wrong)
            throw new PluginException($"{plugin.GetType().Name} of the plugin {source.Name} has the name '{wrong}': lower-case letters, digits and '_' make a name, a letter first");
        if (native.Contains((plugin.Kind, plugin.Name)) || (plugin.Kind == AlgorithmKind.Metric && LikelihoodMetrics.All.Contains(plugin.Name)))
            throw Taken(plugin, source, by: null);
        if (algorithms.TryGetValue((plugin.Kind, plugin.Name), out var taken))
            throw Taken(plugin, source, taken.Source);
        algorithms.Add((plugin.Kind, plugin.Name), (plugin, source));
    }

    /// <summary>Remembers why a plugin is not loaded: whoever asks for what it has is told.</summary>
    public void Refuse(string reason) => refused.Add(reason);

    /// <summary>In alphabetical order.</summary>
    public IReadOnlyList<string> Names(AlgorithmKind kind) => [.. algorithms.Keys.Concat(native).Where(key => key.Kind == kind).Select(key => key.Name).Order(StringComparer.Ordinal)];

    /// <param name="text">As <see cref="AlgorithmChoice"/> is written.</param>
    /// <param name="faults">Gets what is wrong with it.</param>
    /// <returns>Null if there is no such algorithm, or it has no such option.</returns>
    public ChosenAlgorithm<T>? Choose<T>(AlgorithmKind kind, string text, ICollection<string> faults)
        where T : class, IAlgorithmPlugin
    {
        if (AlgorithmChoice.TryParse(text) is not { } choice)
        {
            faults.Add($"{Word(kind)} '{text}' is not written as NAME or NAME(option=number, …)");
            return null;
        }
        if (!algorithms.TryGetValue((kind, choice.Name), out var found))
        {
            faults.Add(string.Join("; ", refused.Prepend($"there is no {Word(kind)} '{choice.Name}'; there are {string.Join(", ", Names(kind))}")));
            return null;
        }
        var unknown = choice.Options.Keys.Except(found.Plugin.Options.Keys).ToList();
        if (unknown.Count > 0)
        {
            var known = found.Plugin.Options.Count == 0 ? "none" : string.Join(", ", found.Plugin.Options.Keys);
            faults.Add($"the {Word(kind)} {choice.Name} has no option {string.Join(", ", unknown)}; it has {known}");
            return null;
        }
        var options = found.Plugin.Options.ToDictionary(option => option.Key, option => choice.Options.GetValueOrDefault(option.Key, option.Value));
        return new((T)found.Plugin, options, found.Source);
    }

    private static PluginException Taken(IAlgorithmPlugin plugin, PluginAssembly source, PluginAssembly? by) =>
        new($"the {Word(plugin.Kind)} '{plugin.Name}' of the plugin {source.Name} has the name of one of {by?.Name ?? "ModelOps itself"}");

    internal static string Word(AlgorithmKind kind) => kind.ToString().ToLowerInvariant();
}

/// <summary>A plugin cannot be used, or did what it may not; the message names it and says what to do.</summary>
public sealed class PluginException(string message, Exception? cause = null) : Exception(message, cause);
