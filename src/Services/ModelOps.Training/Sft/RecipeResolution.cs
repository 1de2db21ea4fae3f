using ModelOps.ModelFiles;
using ModelOps.Models;

namespace ModelOps.Training.Sft;

/// <summary>Fills in what a recipe leaves open. The rules are the ones that <see cref="SftRecipe"/> documents.</summary>
internal static class RecipeResolution
{
    private const int MinimumLength = 256;
    private const int MaximumLength = 2048;
    private const int LengthStep = 32;
    private const int StepsPerEpoch = 16;
    private const int MaximumBatch = 8;
    private const int AimedSteps = 150;

    /// <param name="longest">Tokens of the longest example.</param>
    public static int SequenceLength(SftRecipe recipe, ModelConfig model, int longest)
    {
        var rounded = (longest + LengthStep - 1) / LengthStep * LengthStep;
        return recipe.SequenceLength ?? Math.Min(Math.Clamp(rounded, MinimumLength, MaximumLength), model.MaxPositions);
    }

    /// <param name="rows">Packed rows of that length.</param>
    public static ResolvedSftRecipe Resolve(SftRecipe recipe, ModelConfig model, int sequenceLength, int rows)
    {
        var batch = recipe.BatchSize ?? Math.Clamp(rows / StepsPerEpoch, 1, MaximumBatch);
        var stepsPerEpoch = (rows + batch - 1) / batch;
        var epochs = recipe.Epochs ?? (recipe.MaxSteps is { } limit ? Epochs(limit, stepsPerEpoch) : Math.Clamp(Epochs(AimedSteps, stepsPerEpoch), 3, 10));
        var rank = recipe.Rank ?? Math.Min(LoraOptions.DefaultRank, model.HiddenSize);
        return new(
            epochs,
            (int)Math.Min((long)epochs * stepsPerEpoch, recipe.MaxSteps ?? int.MaxValue),
            rank,
            recipe.Alpha ?? 2 * rank,
            recipe.Dropout,
            recipe.TargetModules,
            recipe.LearningRate ?? Math.Min(0.002, 0.4 / model.HiddenSize),
            recipe.WarmupRatio,
            batch,
            sequenceLength,
            recipe.Seed,
            recipe.WeightDecay,
            recipe.ClipNorm);
    }

    private static int Epochs(int steps, int stepsPerEpoch) => (steps + stepsPerEpoch - 1) / stepsPerEpoch;
}
