using ModelOps.Training.Plugins;
using TorchSharp;
using static TorchSharp.torch;

namespace ExamplePlugin;

/// <summary>
/// Focal loss (Lin et al. 2017): the mean of −(1 − p)^gamma · log p, p being the probability of the target. What the model says with confidence
/// already weighs less; with gamma 0 it is cross-entropy.
/// </summary>
public sealed class FocalLoss : LossPlugin
{
    // TorchSharp may free a number that is passed as a temporary while the native call still reads it: fields and usings keep it.
    private static readonly Scalar least = 1e-7; // where p is 1 the power's slope would be infinite for a gamma below 1

    public override string Name => "focal";

    public override IReadOnlyDictionary<string, double> Options { get; } = new Dictionary<string, double> { ["gamma"] = 2 };

    public override Tensor Apply(LossContext context)
    {
        using var scope = NewDisposeScope();
        using Scalar gamma = context.Options["gamma"];
        var logarithm = nn.functional.log_softmax(context.Logits, 1).gather(1, context.Targets.unsqueeze(1)).squeeze(1);
        var weight = logarithm.expm1().neg().clamp_min(least).pow(gamma);
        return (weight * logarithm).mean().neg().MoveToOuterDisposeScope();
    }
}
