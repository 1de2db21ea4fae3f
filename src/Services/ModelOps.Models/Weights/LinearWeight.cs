using static TorchSharp.torch;

namespace ModelOps.Models.Weights;

// Shapes: O outputs, I inputs.

/// <summary>The matrix of a projection, however it is kept.</summary>
internal abstract class LinearWeight : IDisposable
{
    public abstract long Outputs { get; }

    public abstract long Inputs { get; }

    /// <summary>What it takes of memory while it is kept.</summary>
    public abstract long Bytes { get; }

    /// <summary>x Wᵀ over the last dimension of x; gradients flow to x, and to W where it is trained.</summary>
    public abstract Tensor Apply(Tensor x);

    /// <summary>(O, I) fp32 without gradients: the caller's to dispose of, never to write to.</summary>
    public abstract Tensor Dense();

    public abstract void Dispose();
}

/// <summary>Kept as it is computed with, fp32.</summary>
internal sealed class DenseWeight(Tensor weight_OI) : LinearWeight
{
    public override long Outputs => weight_OI.shape[0];

    public override long Inputs => weight_OI.shape[1];

    public override long Bytes => weight_OI.numel() * weight_OI.element_size();

    public override Tensor Apply(Tensor x) => nn.functional.linear(x, weight_OI);

    public override Tensor Dense() => weight_OI.detach();

    public override void Dispose() => weight_OI.Dispose();
}
