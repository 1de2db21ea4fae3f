using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>GELU by its tanh approximation (Hendrycks and Gimpel 2016): TorchSharp's own is the exact one only.</summary>
internal static class Gelu
{
    private static readonly Scalar rootOfTwoOverPi = Math.Sqrt(2 / Math.PI);
    private static readonly Scalar cubic = 0.044715;
    private static readonly Scalar one = 1;
    private static readonly Scalar half = 0.5;

    /// <summary>x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).</summary>
    public static Tensor Tanh(Tensor x)
    {
        var inner = x.Plus(x * x * x * cubic) * rootOfTwoOverPi;
        return x * half * inner.tanh().Plus(one);
    }
}
