using ModelOps.ModelFiles;

namespace ModelOps.Services.Tests.Models;

/// <summary>A random model in a folder of its own, with its weights at hand for the scalar twin.</summary>
internal sealed class TinyModel : IDisposable
{
    private readonly TempFolder folder = new();

    public TinyModel(ModelConfig config)
    {
        Files = TestModels.Write(folder.Path, config);
        using var weights = Files.OpenWeights();
        Weights = Files.Weights.Values.ToDictionary(
            location => location.Tensor.Name,
            location => (location.Tensor.Shape, weights.ReadFloats(location.Tensor.Name)));
    }

    public ModelFolder Files { get; }

    public IReadOnlyDictionary<string, (long[] Shape, float[] Values)> Weights { get; }

    public void Dispose() => folder.Dispose();
}
