using System.Globalization;
using ModelOps.ModelFiles;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training.Plugins;

namespace ModelOps.Training.Runs;

/// <summary>What a run will take of memory, by part, before it takes it.</summary>
internal sealed record MemoryPlan(IReadOnlyList<MemoryPart> Parts)
{
    private const int Float = sizeof(float);

    /// <summary>Bytes a weight in NF4, its magnitudes included.</summary>
    private const double FourBit = 4.13 / 8;

    /// <summary>libtorch, tokenizer, rows and the runtime.</summary>
    private const long Process = 400L << 20;

    /// <summary>
    /// Activations that a layer keeps for the backward pass, in widths of what goes through it; counted in the decoder's operations. On the bundled
    /// model and the shape of SmolLM2-135M the whole plan is within 6 % of the most that LoRA took (<c>benchmarks training</c>).
    /// </summary>
    private const double KeptHidden = 10;
    private const double KeptHeads = 8;
    private const double KeptFeedForward = 4;

    public long Total => Parts.Sum(part => part.Bytes);

    public static MemoryPlan Of(ModelConfig model, ResolvedRecipe recipe)
    {
        var parameters = (double)DecoderTensors.ParameterCount(model);
        var linear = (double)DecoderTensors.LinearParameterCount(model);
        var trained = recipe.Rank is { } rank ? AdapterParameters(model, rank) : parameters;
        var weights = (parameters - linear) * Float + (linear * (recipe.Method == TrainingMethod.Qlora ? FourBit : Float));
        var tokens = (double)recipe.BatchSize * recipe.SequenceLength;
        return new(
        [
            new("weights", (long)weights + (recipe.Rank is null ? 0 : (long)(trained * Float))),
            new("gradients", (long)(trained * Float)),
            new("optimizer", (long)(2 * trained * Float)),
            new("activations", (long)(tokens * Float * Activations(model, recipe))),
            new("logits", (long)(3 * Logits(tokens, model, recipe) * Float)),
            new("process", Process),
        ]);
    }

    /// <exception cref="TrainingFailedException">It does not fit into <paramref name="available"/> bytes; the message says what would.</exception>
    public void ThrowUnlessFitting(ModelConfig model, ResolvedRecipe recipe, long available)
    {
        if (Total <= available) return;
        var fitting = WouldFit(model, recipe, available);
        var advice = fitting.Count == 0
            ? "nothing that a recipe can change would make it fit: take a smaller base model or a machine with more memory"
            : "what would fit: " + string.Join("; ", fitting.Select(change => $"{change.Change} ({Size(change.Bytes)})"));
        throw new TrainingFailedException(
            TrainingFailure.InvalidRecipe,
            $"training needs about {Size(Total)} of memory ({this}), and {Size(available)} are free; {advice}");
    }

    /// <summary>Changes of the recipe that make it fit into <paramref name="available"/> bytes; none where it does, or where nothing would.</summary>
    public IReadOnlyList<MemoryAlternative> WouldFit(ModelConfig model, ResolvedRecipe recipe, long available) => Total <= available
        ? []
        : [.. Alternatives(recipe).Select(change => new MemoryAlternative(change.Advice, Of(model, change.Recipe).Total)).Where(change => change.Bytes <= available)];

    public override string ToString() => string.Join(", ", Parts.Select(part => $"{part.Part} {Size(part.Bytes)}"));

    /// <summary>Bytes that this process may still take: what the machine has free, within the limit of its control group.</summary>
    public static long Available()
    {
        var limit = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        var free = File.ReadLines("/proc/meminfo").First(line => line.StartsWith("MemAvailable:", StringComparison.Ordinal));
        var kilobytes = long.Parse(free.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
        return Math.Min(limit - Environment.WorkingSet, kilobytes << 10);
    }

    private static IEnumerable<(string Advice, ResolvedRecipe Recipe)> Alternatives(ResolvedRecipe recipe)
    {
        if (!recipe.GradientCheckpointing) yield return ("gradient_checkpointing: true", recipe with { GradientCheckpointing = true });
        if (recipe.BatchSize > 1)
            yield return (
                string.Create(CultureInfo.InvariantCulture, $"batch_size: 1 with accumulation: {recipe.BatchSize * recipe.Accumulation}"),
                recipe with { BatchSize = 1, Accumulation = recipe.BatchSize * recipe.Accumulation });
        if (recipe.Method == TrainingMethod.Full) yield return ("method: lora", recipe with { Method = TrainingMethod.Lora, Rank = 16 });
        if (recipe.Method is TrainingMethod.Full or TrainingMethod.Lora)
            yield return ("method: qlora with gradient_checkpointing: true and batch_size: 1",
                recipe with { Method = TrainingMethod.Qlora, Rank = recipe.Rank ?? 16, GradientCheckpointing = true, BatchSize = 1 });
        if (recipe.SequenceLength > 512)
            yield return ("sequence_length: 512 with gradient_checkpointing: true and batch_size: 1",
                recipe with { SequenceLength = 512, GradientCheckpointing = true, BatchSize = 1 });
    }

    /// <summary>Cross-entropy takes them in pieces, a loss of a plugin gets them whole.</summary>
    private static double Logits(double tokens, ModelConfig model, ResolvedRecipe recipe) =>
        model.VocabularySize * (recipe.Loss == AlgorithmRegistry.CrossEntropy ? Math.Min(tokens, CausalLanguageModel.LossChunk(model)) : tokens);

    /// <summary>Numbers a token: all layers' activations, or one layer's and the input of each.</summary>
    private static double Activations(ModelConfig model, ResolvedRecipe recipe)
    {
        double hidden = model.HiddenSize, heads = model.HeadCount * model.HeadDimension, fed = model.IntermediateSize;
        var layer = (KeptHidden * hidden) + (KeptHeads * heads) + (KeptFeedForward * fed);
        return recipe.GradientCheckpointing ? layer + (model.LayerCount * hidden) : model.LayerCount * layer;
    }

    /// <summary>Of an update on every linear module, the most that there can be.</summary>
    private static double AdapterParameters(ModelConfig model, int rank)
    {
        var names = DecoderTensors.AllLinearModules(model).Select(module => $"{module}.weight").ToHashSet();
        return DecoderTensors.Of(model).Where(tensor => names.Contains(tensor.Name)).Sum(tensor => (double)rank * (tensor.Shape[0] + tensor.Shape[1]));
    }

    private static string Size(long bytes) => bytes >= 1L << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):F1} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20} MiB");
}
