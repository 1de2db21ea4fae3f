using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training.Data;
using static TorchSharp.torch;

namespace ModelOps.Training.Plugins;

/// <summary>The algorithms that a recipe names.</summary>
/// <param name="Loss">Null: cross-entropy.</param>
/// <param name="Optimizer">Null: AdamW.</param>
internal sealed record TrainingAlgorithms(
    ChosenAlgorithm<LossPlugin>? Loss, ChosenAlgorithm<OptimizerPlugin>? Optimizer, ChosenAlgorithm<SchedulerPlugin> Schedule)
{
    /// <summary>SHA-256 by the name of each plugin that one of them is of; null: there is none.</summary>
    public IReadOnlyDictionary<string, string>? Plugins =>
        new[] { Loss?.Source, Optimizer?.Source, Schedule.Source }.OfType<PluginAssembly>().Distinct().ToDictionary(source => source.Name, source => source.Sha256)
            is { Count: > 0 } plugins ? plugins : null;

    /// <param name="faults">Gets what is wrong: then the result is not to be used.</param>
    public static TrainingAlgorithms Choose(Recipe recipe, AlgorithmRegistry registry, ICollection<string> faults) => new(
        recipe.Loss == AlgorithmRegistry.CrossEntropy ? null : registry.Choose<LossPlugin>(AlgorithmKind.Loss, recipe.Loss, faults),
        recipe.Optimizer == AlgorithmRegistry.AdamW ? null : registry.Choose<OptimizerPlugin>(AlgorithmKind.Optimizer, recipe.Optimizer, faults),
        registry.Choose<SchedulerPlugin>(AlgorithmKind.Scheduler, recipe.Schedule, faults)!);

    /// <summary>Of the batch's learned tokens; what gradients flow back from.</summary>
    public Tensor LossOf(PackedBatch batch, CausalLanguageModel model) => Loss is { } chosen
        ? batch.Loss(model, (logits, targets) => PluginCall.Loss(chosen, new(logits, targets, chosen.Options)))
        : batch.Loss(model);
}
