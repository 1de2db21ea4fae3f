using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Recipes;

namespace ModelOps.Training;

/// <summary>A recipe with everything filled in: what a run used. See <see cref="Recipe"/> for the meaning of each.</summary>
public sealed record ResolvedRecipe
{
    public required TrainingMethod Method { get; init; }

    /// <summary>Null where the method is not <see cref="TrainingMethod.Pretrain"/>.</summary>
    public required WeightInitialization? Initialization { get; init; }

    public required int Epochs { get; init; }

    /// <summary>Updates in all.</summary>
    public required int Steps { get; init; }

    public required int BatchSize { get; init; }
    public required int Accumulation { get; init; }
    public required int SequenceLength { get; init; }
    public required bool Packing { get; init; }
    public required LearnedTokens TrainOn { get; init; }
    public required double NeftuneAlpha { get; init; }
    public required double LearningRate { get; init; }

    /// <summary>With every option, as the other two algorithms.</summary>
    public required string Loss { get; init; }

    public required string Optimizer { get; init; }
    public required string Schedule { get; init; }

    /// <summary>SHA-256 of the plugins that these are of, by name; null: all are built in.</summary>
    public IReadOnlyDictionary<string, string>? Plugins { get; init; }

    public required double WarmupRatio { get; init; }
    public required double DecayRatio { get; init; }
    public required double WeightDecay { get; init; }
    public required double ClipNorm { get; init; }
    public required double Beta2 { get; init; }

    /// <summary>Null, as are the other settings of an update, where every weight is trained.</summary>
    public required int? Rank { get; init; }

    public required double? Alpha { get; init; }
    public required double? Dropout { get; init; }
    public required string? TargetModules { get; init; }
    public required bool? Rslora { get; init; }
    public required bool? Dora { get; init; }

    /// <summary>Null: measured only before and after.</summary>
    public required int? ValidateEvery { get; init; }

    public required int? Patience { get; init; }
    public required int Samples { get; init; }
    public required bool GradientCheckpointing { get; init; }
    public required ComputeDevice Device { get; init; }
    public required int Seed { get; init; }

    /// <summary>In the names that a recipe file has.</summary>
    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, ResolvedRecipeJson.Default.ResolvedRecipe);
}

/// <summary>As a recipe file has them.</summary>
internal sealed class RecipeNames<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.SnakeCaseLower)
    where T : struct, Enum;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(RecipeNames<TrainingMethod>), typeof(RecipeNames<WeightInitialization>), typeof(RecipeNames<LearnedTokens>), typeof(RecipeNames<ComputeDevice>)])]
[JsonSerializable(typeof(ResolvedRecipe))]
[JsonSerializable(typeof(TrainingPlan))]
[JsonSerializable(typeof(string))]
internal sealed partial class ResolvedRecipeJson : JsonSerializerContext;
