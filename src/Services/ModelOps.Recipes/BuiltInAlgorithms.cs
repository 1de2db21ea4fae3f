namespace ModelOps.Recipes;

/// <summary>The algorithms that need no plugin, by name: what can be known of a name without loading one.</summary>
public static class BuiltInAlgorithms
{
    public static IReadOnlyList<string> Losses { get; } = ["cross_entropy"];

    public static IReadOnlyList<string> Optimizers { get; } = ["adamw"];

    public static IReadOnlyList<string> Schedules { get; } = ["constant", "cosine", "linear", "wsd"];

    /// <summary>Of evaluations.</summary>
    public static IReadOnlyList<string> Metrics { get; } =
        ["choice_accuracy", "choice_accuracy_norm", "exact_match", "json_valid", "loss", "perplexity", "rouge_l"];

    /// <param name="algorithms">As <see cref="AlgorithmChoice"/> is written.</param>
    /// <returns>What is wrong with each; with plugins only what is written wrongly, for they may have any name.</returns>
    public static IEnumerable<string> FaultsOf(string kind, IEnumerable<string> algorithms, IReadOnlyList<string> known, bool hasPlugins)
    {
        foreach (var text in algorithms)
        {
            if (AlgorithmChoice.TryParse(text) is not { } choice) yield return $"{kind} '{text}' is not written as NAME or NAME(option=number, …)";
            else if (!hasPlugins && !known.Contains(choice.Name))
                yield return $"there is no {kind} '{choice.Name}'; there are {string.Join(", ", known)}, and the home folder has no plugin that could have it";
        }
    }

    /// <summary>The same of all that a recipe names.</summary>
    public static IEnumerable<string> FaultsOf(Recipe recipe, bool hasPlugins) =>
    [
        .. FaultsOf("loss", [recipe.Loss], Losses, hasPlugins),
        .. FaultsOf("optimizer", [recipe.Optimizer], Optimizers, hasPlugins),
        .. FaultsOf("schedule", [recipe.Schedule], Schedules, hasPlugins),
    ];
}
