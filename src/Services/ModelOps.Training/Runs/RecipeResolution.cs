using ModelOps.ModelFiles;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training.Plugins;

namespace ModelOps.Training.Runs;

/// <summary>Fills in what a recipe leaves open, by the rules that the recipe's documentation tells.</summary>
internal static class RecipeResolution
{
    private const int MinimumLength = 256;
    private const int MaximumLength = 2048;
    private const int LengthStep = 32;
    private const int StepsPerEpoch = 16;
    private const int MaximumBatch = 8;
    private const int AimedSteps = 150;
    private const int Measurements = 10;

    /// <summary>Of the rate that an update takes: weights that have learned are changed with more care.</summary>
    private const double LearnedRateShare = 0.1;

    /// <returns>What does not fit this model; empty for a recipe that can be used with it.</returns>
    public static IReadOnlyList<string> Check(Recipe recipe, ModelConfig model)
    {
        List<string> errors = [];
        if (recipe.Rank > model.HiddenSize) errors.Add($"rank is {recipe.Rank}; the model's width is {model.HiddenSize}, and a rank above it adds nothing");
        if (recipe.SequenceLength > model.MaxPositions) errors.Add($"sequence_length is {recipe.SequenceLength}; the model was made for {model.MaxPositions} tokens at most");
        return errors;
    }

    /// <param name="longest">Tokens of the longest example.</param>
    public static int SequenceLength(Recipe recipe, ModelConfig model, int longest)
    {
        var rounded = (longest + LengthStep - 1) / LengthStep * LengthStep;
        return recipe.SequenceLength ?? Math.Min(Math.Clamp(rounded, MinimumLength, MaximumLength), model.MaxPositions);
    }

    /// <param name="rows">Rows of that length.</param>
    public static ResolvedRecipe Resolve(Recipe recipe, TrainingAlgorithms algorithms, ModelConfig model, int sequenceLength, int rows)
    {
        var batch = recipe.BatchSize ?? Math.Clamp(rows / (StepsPerEpoch * recipe.Accumulation), 1, MaximumBatch);
        var rowsPerStep = batch * recipe.Accumulation;
        var stepsPerEpoch = (rows + rowsPerStep - 1) / rowsPerStep;
        var (low, pretrains) = (recipe.Method is TrainingMethod.Lora or TrainingMethod.Qlora, recipe.Method == TrainingMethod.Pretrain);
        var epochs = recipe.Epochs ?? (recipe.MaxSteps is { } limit ? Epochs(limit, stepsPerEpoch) : pretrains ? 1 : Math.Clamp(Epochs(AimedSteps, stepsPerEpoch), 3, 10));
        var steps = (int)Math.Min((long)epochs * stepsPerEpoch, recipe.MaxSteps ?? int.MaxValue);
        var careful = !low && recipe.Initialization == WeightInitialization.Base;
        var rank = recipe.Rank ?? Math.Min(LoraOptions.DefaultRank, model.HiddenSize);
        return new()
        {
            Method = recipe.Method,
            Initialization = pretrains ? recipe.Initialization : null,
            Epochs = epochs,
            Steps = steps,
            BatchSize = batch,
            Accumulation = recipe.Accumulation,
            SequenceLength = sequenceLength,
            Packing = recipe.Packing,
            TrainOn = pretrains ? LearnedTokens.All : recipe.TrainOn,
            NeftuneAlpha = recipe.NeftuneAlpha,
            LearningRate = (recipe.LearningRate ?? Math.Min(0.002, 0.4 / model.HiddenSize) * (careful ? LearnedRateShare : 1)) * recipe.LearningRateMultiplier,
            Loss = algorithms.Loss?.ToString() ?? AlgorithmRegistry.CrossEntropy,
            Optimizer = algorithms.Optimizer?.ToString() ?? AlgorithmRegistry.AdamW,
            Schedule = algorithms.Schedule.ToString(),
            Plugins = algorithms.Plugins,
            WarmupRatio = recipe.WarmupRatio,
            DecayRatio = recipe.DecayRatio,
            WeightDecay = recipe.WeightDecay,
            ClipNorm = recipe.ClipNorm,
            Beta2 = recipe.Beta2,
            Rank = low ? rank : null,
            Alpha = low ? recipe.Alpha ?? (2 * rank) : null,
            Dropout = low ? recipe.Dropout : null,
            TargetModules = low ? recipe.TargetModules : null,
            Rslora = low ? recipe.Rslora : null,
            Dora = low ? recipe.Dora : null,
            ValidateEvery = recipe.ValidateEvery ?? (recipe.Patience is not null || recipe.Samples > 0 ? Math.Max(1, steps / Measurements) : null),
            Patience = recipe.Patience,
            Samples = recipe.Samples,
            GradientCheckpointing = recipe.GradientCheckpointing ?? false,
            Device = recipe.Device,
            Seed = recipe.Seed,
        };
    }

    private static int Epochs(int steps, int stepsPerEpoch) => (steps + stepsPerEpoch - 1) / stepsPerEpoch;
}
