using System.Text.Json;

namespace ModelOps.Training;

/// <summary>What a run would do and take of the machine, before it does: made of the same rows, recipe and estimate.</summary>
public sealed record TrainingPlan
{
    public required ResolvedRecipe Recipe { get; init; }

    public required RowReport TrainRows { get; init; }

    public required RowReport ValidationRows { get; init; }

    /// <summary>Rows of tokens that the training rows are packed into.</summary>
    public required int PackedRows { get; init; }

    /// <summary>In all training rows, each once.</summary>
    public required long Tokens { get; init; }

    public required IReadOnlyList<MemoryPart> Memory { get; init; }

    /// <summary>Bytes, of all parts.</summary>
    public required long MemoryNeeded { get; init; }

    /// <summary>Bytes that the process which made the plan may still take.</summary>
    public required long MemoryAvailable { get; init; }

    /// <summary>Where it does not fit: changes of the recipe with which it would.</summary>
    public required IReadOnlyList<MemoryAlternative> WouldFit { get; init; }

    /// <summary>What people may want otherwise of the rows, and what to do.</summary>
    public required IReadOnlyList<string> Advice { get; init; }

    public required TrainingWork Work { get; init; }

    /// <summary>In the names that a recipe file has.</summary>
    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, ResolvedRecipeJson.Default.TrainingPlan);
}

/// <summary>What a run computes.</summary>
/// <param name="Tokens">Read in all steps.</param>
/// <param name="MeasuredTokens">Read in all measurements of the validation loss.</param>
/// <param name="FlopsPerToken">Floating-point operations of a step per token.</param>
/// <param name="Flops">Floating-point operations in all.</param>
/// <param name="PeakFlops">What the machine does at best per second, in matrix products of fp32.</param>
public sealed record TrainingWork(long Tokens, long MeasuredTokens, double FlopsPerToken, double Flops, double PeakFlops);

/// <param name="Part">What it is for: weights, gradients, optimizer, activations, logits, process.</param>
public sealed record MemoryPart(string Part, long Bytes);

/// <param name="Change">As a recipe would have it: <c>batch_size: 1 with accumulation: 8</c>.</param>
/// <param name="Bytes">That it would take.</param>
public sealed record MemoryAlternative(string Change, long Bytes);
