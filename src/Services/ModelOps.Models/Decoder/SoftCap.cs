using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>c · tanh(x / c): keeps scores and logits within ±c (Gemma 2).</summary>
internal sealed class SoftCap(double cap) : IDisposable
{
    private readonly Scalar cap = cap;
    private readonly Scalar inverse = 1 / cap;

    public Tensor Apply(Tensor x) => (x * inverse).tanh() * cap;

    public void Dispose()
    {
        cap.Dispose();
        inverse.Dispose();
    }
}
