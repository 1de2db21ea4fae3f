using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>x / √(mean(x²) + ε) · w (Zhang and Sennrich 2019), over the last dimension.</summary>
/// <param name="Offset">Whether to multiply by 1 + w instead, as Gemma does.</param>
internal sealed record RmsNorm(Tensor Weight_D, Scalar Epsilon, bool Offset)
{
    private static readonly Scalar one = 1;

    public Tensor Forward(Tensor x_BTD)
    {
        var scale = rsqrt((x_BTD * x_BTD).mean([-1], keepdim: true).Plus(Epsilon)); // square() would pass a temporary Scalar
        return x_BTD * scale * (Offset ? Weight_D.Plus(one) : Weight_D);
    }
}
