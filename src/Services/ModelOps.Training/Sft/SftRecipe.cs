using ModelOps.ModelFiles;
using ModelOps.Models;

namespace ModelOps.Training;

/// <summary>What the user wants of supervised fine-tuning with LoRA. Null is chosen from data and model; the outcome says as what.</summary>
public sealed record SftRecipe
{
    public const double DefaultWarmupRatio = 0.05;
    public const double DefaultClipNorm = 1;
    public const int DefaultSeed = 42;

    /// <summary>How often every row is learned from.</summary>
    /// <value>By default enough for about 150 steps, from 3 to 10; where only the steps are given, as many as they take.</value>
    public int? Epochs { get; init; }

    /// <summary>Training stops after so many steps, even inside an epoch.</summary>
    public int? MaxSteps { get; init; }

    /// <value>The default value is 16.</value>
    public int? Rank { get; init; }

    /// <value>By default twice the rank.</value>
    public double? Alpha { get; init; }

    /// <summary>See <see cref="LoraOptions.Dropout"/>.</summary>
    /// <value>The default value is 0.</value>
    public double Dropout { get; init; }

    /// <summary>See <see cref="LoraOptions.TargetModules"/>.</summary>
    /// <value>The default value is <c>all-linear</c>.</value>
    public string TargetModules { get; init; } = LoraOptions.AllLinear;

    /// <summary>The highest rate of the schedule: linear warm-up, then cosine to zero.</summary>
    /// <value>By default 0.4 / width of the model, at most 0.002: a wider model takes smaller steps.</value>
    public double? LearningRate { get; init; }

    /// <summary>Share of the steps in which the learning rate rises, 0 to below 1.</summary>
    /// <value>The default value is 0.05.</value>
    public double WarmupRatio { get; init; } = DefaultWarmupRatio;

    /// <summary>Rows of <see cref="SequenceLength"/> tokens per step; a row is packed from several examples.</summary>
    /// <value>By default a sixteenth of the data, from 1 to 8.</value>
    public int? BatchSize { get; init; }

    /// <summary>Tokens per row. A longer example is cut, and counted in the outcome.</summary>
    /// <value>By default the longest example, from 256 to 2048, within what the model was made for.</value>
    public int? SequenceLength { get; init; }

    /// <summary>For the adapter's first values, the order of rows and dropout. The same seed gives the same losses to the last bit on one machine.</summary>
    /// <value>The default value is 42.</value>
    public int Seed { get; init; } = DefaultSeed;

    /// <value>The default value is 0.</value>
    public double WeightDecay { get; init; }

    /// <summary>Gradients are scaled down to this L2 norm.</summary>
    /// <value>The default value is 1.</value>
    public double ClipNorm { get; init; } = DefaultClipNorm;

    /// <returns>Everything that is wrong; empty for a recipe that can be used with <paramref name="model"/>.</returns>
    public IReadOnlyList<string> Validate(ModelConfig model)
    {
        List<string> errors = [];
        Check(Epochs is null or >= 1, $"epochs is {Epochs}; it must be at least 1");
        Check(MaxSteps is null or >= 1, $"max steps is {MaxSteps}; it must be at least 1");
        Check(Rank is null or >= 1, $"rank is {Rank}; it must be at least 1");
        Check(Rank is null || Rank <= model.HiddenSize, $"rank is {Rank}; the model's width is {model.HiddenSize}, and a rank above it adds nothing");
        Check(Alpha is null || (double.IsFinite(Alpha.Value) && Alpha > 0), $"alpha is {Alpha}; it must be above 0");
        Check(Dropout is >= 0 and < 1, $"dropout is {Dropout}; it must be at least 0 and below 1");
        Check(LearningRate is null || (double.IsFinite(LearningRate.Value) && LearningRate > 0), $"learning rate is {LearningRate}; it must be above 0");
        Check(WarmupRatio is >= 0 and < 1, $"warm-up ratio is {WarmupRatio}; it must be at least 0 and below 1");
        Check(BatchSize is null or >= 1, $"batch size is {BatchSize}; it must be at least 1");
        Check(SequenceLength is null or >= 8, $"sequence length is {SequenceLength}; it must be at least 8");
        Check(SequenceLength is null || SequenceLength <= model.MaxPositions, $"sequence length is {SequenceLength}; the model was made for {model.MaxPositions} tokens at most");
        Check(double.IsFinite(WeightDecay) && WeightDecay >= 0, $"weight decay is {WeightDecay}; it must be at least 0");
        Check(double.IsFinite(ClipNorm) && ClipNorm > 0, $"clip norm is {ClipNorm}; it must be above 0");
        return errors;

        void Check(bool holds, string error)
        {
            if (!holds) errors.Add(error);
        }
    }
}

/// <summary>A recipe with everything filled in: what a run used. See <see cref="SftRecipe"/> for the meaning of each.</summary>
/// <param name="Steps">Updates in all.</param>
public sealed record ResolvedSftRecipe(
    int Epochs,
    int Steps,
    int Rank,
    double Alpha,
    double Dropout,
    string TargetModules,
    double LearningRate,
    double WarmupRatio,
    int BatchSize,
    int SequenceLength,
    int Seed,
    double WeightDecay,
    double ClipNorm);
