using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models;

/// <summary>Sums without temporary numbers: TorchSharp's <c>+</c> passes its factor 1 as a Scalar that a finalizer may free too early.</summary>
internal static class Arithmetic
{
    private static readonly Scalar one = 1;

    public static Tensor Plus(this Tensor left, Tensor right) => left.add(right, one);

    public static Tensor Plus(this Tensor left, Scalar right) => left.add(right, one);
}
