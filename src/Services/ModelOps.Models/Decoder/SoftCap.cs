using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>c · tanh(x / c): keeps scores and logits within ±c (Gemma 2).</summary>
internal sealed class SoftCap(double cap) : IDisposable
{
    private readonly Scalar cap = cap;
    private readonly Scalar inverse = 1 / cap;
    private readonly Scalar one = 1;

    public Tensor Apply(Tensor x) => (x * inverse).tanh() * cap;

    /// <summary>∂ cap(x) / ∂ x = 1 − (y / c)².</summary>
    /// <param name="y">What <see cref="Apply"/> made of x.</param>
    public Tensor Slope(Tensor y)
    {
        var share = y * inverse;
        return (share * share).neg().Plus(one);
    }

    public void Dispose()
    {
        cap.Dispose();
        inverse.Dispose();
        one.Dispose();
    }
}
