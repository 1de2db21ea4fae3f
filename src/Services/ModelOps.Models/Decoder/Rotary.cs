using ModelOps.ModelFiles;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

// Shapes: B rows, T positions, H heads, E head size, F = E / 2 frequencies.

/// <summary>
/// Rotary position embedding (Su et al. 2021) in Hugging Face's rotate-half layout: dimension i is paired with i + E/2, and the
/// pair turns by position · frequency.
/// </summary>
internal readonly record struct Rotary(Tensor Cos_B1TE, Tensor Sin_B1TE)
{
    public static Rotary At(Tensor positions_BT, RotaryFrequencies frequencies)
    {
        using var scope = NewDisposeScope();
        var angles_BTF = positions_BT.to(ScalarType.Float32).unsqueeze(-1) * frequencies.Frequencies_F;
        var angles_B1TE = cat([angles_BTF, angles_BTF], -1).unsqueeze(1);
        return new(
            (angles_B1TE.cos() * frequencies.Magnitude).MoveToOuterDisposeScope(),
            (angles_B1TE.sin() * frequencies.Magnitude).MoveToOuterDisposeScope());
    }

    public Tensor Apply(Tensor x_BHTE)
    {
        var half = x_BHTE.shape[^1] / 2;
        var rotated_BHTE = cat([x_BHTE.narrow(-1, half, half).neg(), x_BHTE.narrow(-1, 0, half)], -1);
        return (x_BHTE * Cos_B1TE).Plus(rotated_BHTE * Sin_B1TE);
    }
}

/// <summary>What a layer's positions are multiplied by, and what YaRN multiplies the turned vectors by.</summary>
internal sealed class RotaryFrequencies(int headDimension, double theta, RopeScaling? scaling, Device device) : IDisposable
{
    public Tensor Frequencies_F { get; } = tensor(
        [.. RopeScaling.Frequencies(headDimension, theta, scaling).Select(frequency => (float)frequency)], device: device).DetachFromDisposeScope();

    public Scalar Magnitude { get; } = scaling?.Magnitude ?? 1;

    public void Dispose()
    {
        Frequencies_F.Dispose();
        Magnitude.Dispose();
    }
}
