using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models.Lora;

// Shapes: B rows, T positions, D width.

/// <summary>NEFTune (Jain et al. 2023): x + u with u uniform in ±alpha / √(T · D), in training only.</summary>
internal sealed class EmbeddingNoise(double alpha, int seed) : IDisposable
{
    private readonly Scalar half = 0.5;

    public StepRandomness Randomness { get; } = new(seed);

    public Tensor Add(Tensor x_BTD)
    {
        if (!Randomness.IsTraining) return x_BTD;
        using Scalar width = 2 * alpha / Math.Sqrt(x_BTD.shape[1] * x_BTD.shape[2]);
        return x_BTD.Plus(rand(x_BTD.shape, generator: Randomness.Generator).sub_(half).mul_(width).to(x_BTD.device));
    }

    public void Dispose()
    {
        half.Dispose();
        Randomness.Dispose();
    }
}
