using ModelOps.Recipes;
using ModelOps.Training.Evaluations.Metrics;

namespace ModelOps.Training.Plugins;

/// <summary>An algorithm that was chosen, with all of its options.</summary>
/// <param name="Source">The assembly that it came in; null: it is built in.</param>
public sealed record ChosenAlgorithm<T>(T Plugin, IReadOnlyDictionary<string, double> Options, PluginAssembly? Source)
    where T : IAlgorithmPlugin;

/// <summary>An assembly of plugins, by its content.</summary>
/// <param name="Name">Its folder's.</param>
/// <param name="Sha256">Of the assembly's file, hex.</param>
public sealed record PluginAssembly(string Name, string Sha256);

/// <summary>The algorithms that can be chosen by name: those that are built in and those of plugins.</summary>
public sealed class AlgorithmRegistry
{
    private static readonly IAlgorithmPlugin[] builtIn = [new ExactMatch(), new RougeL(), new JsonValidity()];

    private readonly Dictionary<(AlgorithmKind Kind, string Name), (IAlgorithmPlugin Plugin, PluginAssembly? Source)> algorithms =
        builtIn.ToDictionary(plugin => (plugin.Kind, plugin.Name), plugin => (plugin, (PluginAssembly?)null));

    /// <summary>Those that are built in.</summary>
    public static AlgorithmRegistry BuiltIn { get; } = new();

    /// <param name="plugin">Replaces nothing: its name is new within its kind.</param>
    /// <exception cref="PluginException">The name is taken.</exception>
    public void Add(IAlgorithmPlugin plugin, PluginAssembly source)
    {
        if (algorithms.TryGetValue((plugin.Kind, plugin.Name), out var taken))
            throw new PluginException($"the plugin {source.Name} has a {Word(plugin.Kind)} '{plugin.Name}', and so has {taken.Source?.Name ?? "ModelOps itself"}");
        algorithms.Add((plugin.Kind, plugin.Name), (plugin, source));
    }

    /// <summary>In alphabetical order.</summary>
    public IReadOnlyList<string> Names(AlgorithmKind kind) => [.. algorithms.Keys.Where(key => key.Kind == kind).Select(key => key.Name).Order(StringComparer.Ordinal)];

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
            faults.Add($"there is no {Word(kind)} '{choice.Name}'; there are {string.Join(", ", Names(kind))}");
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

    internal static string Word(AlgorithmKind kind) => kind.ToString().ToLowerInvariant();
}

/// <summary>A plugin cannot be used, or did what it may not; the message names it and says what to do.</summary>
public sealed class PluginException(string message, Exception? cause = null) : Exception(message, cause);
