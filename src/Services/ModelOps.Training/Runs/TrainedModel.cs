using ModelOps.ModelFiles;
using ModelOps.Models;
using ModelOps.Recipes;
using static TorchSharp.torch;

namespace ModelOps.Training.Runs;

/// <summary>What a method makes of the base model, and what it leaves behind.</summary>
internal static class TrainedModel
{
    /// <exception cref="TrainingFailedException">The model does not allow what the recipe wants.</exception>
    public static CausalLanguageModel Load(ModelFolder folder, ResolvedRecipe recipe)
    {
        if (recipe.Device == ComputeDevice.Cuda && !cuda.is_available())
            throw new TrainingFailedException(
                TrainingFailure.InvalidRecipe, "device is cuda, and this build has no CUDA or finds no GPU: build with TorchSharp's CUDA package, or set device to cpu");
        var device = recipe.Device == ComputeDevice.Cuda ? CUDA : CPU;
        CausalLanguageModel? model = null;
        try
        {
            model = recipe.Initialization == WeightInitialization.Random
                ? CausalLanguageModel.Initialize(folder.Config, recipe.Seed, device)
                : CausalLanguageModel.Load(folder, device, recipe.Method switch
                {
                    TrainingMethod.Full or TrainingMethod.Pretrain => WeightUse.Trained,
                    TrainingMethod.Qlora => WeightUse.FourBit,
                    _ => WeightUse.Frozen,
                });
            model.RecomputesActivations = recipe.GradientCheckpointing;
            model.AddEmbeddingNoise(recipe.NeftuneAlpha, recipe.Seed);
            if (recipe.Rank is { } rank) model.AttachLora(Lora(recipe, rank), recipe.Seed);
            return model;
        }
        catch (ArgumentException exception)
        {
            model?.Dispose();
            throw new TrainingFailedException(TrainingFailure.InvalidRecipe, exception.Message, exception);
        }
    }

    /// <summary>Writes the adapter, or the whole model, into the request's output folder.</summary>
    public static void Save(CausalLanguageModel model, ModelFolder folder, ResolvedRecipe recipe, TrainingRequest request, CancellationToken cancellationToken)
    {
        var output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(request.OutputFolder));
        var partial = $"{output}.{Guid.NewGuid():N}.partial";
        try
        {
            if (recipe.Rank is null) model.SaveModel(partial, folder, cancellationToken);
            else model.SaveAdapter(partial, request.BaseModelName, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            if (Directory.Exists(output)) Directory.Delete(output); // empty, or this fails
            Directory.Move(partial, output);
        }
        finally
        {
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
        }
    }

    private static LoraOptions Lora(ResolvedRecipe recipe, int rank) => new()
    {
        Rank = rank,
        Alpha = recipe.Alpha!.Value,
        Dropout = recipe.Dropout!.Value,
        TargetModules = recipe.TargetModules!,
        RankStabilized = recipe.Rslora!.Value,
        Decomposed = recipe.Dora!.Value,
    };
}
