using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Models.Lora;

// Shapes: O outputs, I inputs, R rank.

/// <summary>(alpha / R) · B A x (Hu et al. 2021). A starts random and B at zero, so that the update starts at zero.</summary>
internal sealed class LoraUpdate : IDisposable
{
    private readonly Scalar scale;
    private readonly Scalar dropped;
    private readonly Scalar boost;
    private readonly bool drops;
    private readonly Generator randomness;

    /// <summary>A is uniform in ±1/√I, as PEFT draws it (Kaiming uniform with a = √5).</summary>
    public LoraUpdate(Tensor weight_OI, LoraOptions options, Generator randomness)
    {
        (scale, dropped, boost) = (options.Scale, options.Dropout, 1 / (1 - options.Dropout));
        (drops, this.randomness) = (options.Dropout > 0, randomness);
        using var scope = NewDisposeScope();
        var (outputs, inputs) = (weight_OI.shape[0], weight_OI.shape[1]);
        using Scalar width = 2 / Math.Sqrt(inputs), half = 0.5;
        A_RI = new Parameter(rand(options.Rank, inputs, generator: randomness).to(weight_OI.device).sub_(half).mul_(width));
        B_OR = new Parameter(zeros(outputs, options.Rank, device: weight_OI.device));
        scope.Detach(A_RI, B_OR);
    }

    public Parameter A_RI { get; }

    public Parameter B_OR { get; }

    public Tensor Forward(Tensor x) =>
        nn.functional.linear(nn.functional.linear(Dropped(x), A_RI), B_OR) * scale;

    public void Dispose()
    {
        A_RI.Dispose();
        B_OR.Dispose();
        scale.Dispose();
        dropped.Dispose();
        boost.Dispose();
    }

    /// <summary>Dropout only where gradients are recorded: evaluation runs under no_grad.</summary>
    private Tensor Dropped(Tensor x)
    {
        if (!drops || !is_grad_enabled()) return x;
        var kept = rand(x.shape, generator: randomness).to(x.device).ge(dropped);
        return x * kept * boost;
    }
}
