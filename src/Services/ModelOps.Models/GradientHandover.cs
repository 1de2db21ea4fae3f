using static TorchSharp.torch;

namespace ModelOps.Models;

/// <summary>
/// Gradients between libtorch and our backward passes. TorchSharp puts those that it hands in, and those that are handed back, into the dispose scope
/// that is open: without this they would all live until the step ends.
/// </summary>
internal static class GradientHandover
{
    [ThreadStatic]
    private static Tensor? given;

    /// <summary>What a backward pass returns. libtorch takes a reference of its own once it has returned, so that ours is ended by the next one.</summary>
    public static Tensor Give(Tensor gradient)
    {
        given?.Dispose();
        given = gradient.DetachFromDisposeScope();
        return gradient;
    }
}
