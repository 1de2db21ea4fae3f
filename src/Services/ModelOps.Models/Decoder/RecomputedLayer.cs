using System.Diagnostics.CodeAnalysis;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>
/// A layer whose activations are not kept: the backward pass computes it again from its input (Chen et al. 2016), and adds the gradients of the
/// parameters within to them there.
/// </summary>
internal sealed class RecomputedLayer : autograd.SingleTensorFunction<RecomputedLayer>
{
    private const string Kept = "kept";

    public override string Name => "RecomputedLayer";

    /// <param name="draws">What the layer draws dropout from: it draws the same both times. Null: it draws nothing.</param>
    public static Tensor Forward(DecoderLayer layer, Tensor x_BTD, AttentionReach reach, Generator? draws)
    {
        if (!x_BTD.requires_grad) x_BTD = x_BTD.detach().requires_grad_(true); // of a frozen embedding: without it nothing would flow back
        return apply(x_BTD, new LayerPass(layer, reach, draws));
    }

    [SuppressMessage("Reliability", "CA2000", Justification = "the backward pass ends what it keeps")]
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x_BTD, pass) = ((Tensor)vars[0], (LayerPass)vars[1]);
        ctx.save_data(Kept, pass.Keep(x_BTD)); // save_for_backward gives only inputs and outputs back
        return pass.Forward(x_BTD);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        using var recorded = enable_grad();
        using var kept = (KeptPass)ctx.get_data(Kept);
        var x_BTD = kept.X_BTD.detach().requires_grad_(true);
        using (grad_output) autograd.backward([kept.Again(x_BTD)], [grad_output]);
        return [GradientHandover.Give(x_BTD.grad!), null!];
    }

    private sealed record LayerPass(DecoderLayer Layer, AttentionReach Reach, Generator? Draws)
    {
        public Tensor Forward(Tensor x_BTD) => Layer.Forward(x_BTD, Reach);

        /// <summary>References of its own to what the caller's dispose scope ends before the backward pass.</summary>
        public KeptPass Keep(Tensor x_BTD) => new(
            Own(x_BTD),
            this with { Reach = new(new(Own(Reach.Rotary.Cos_B1TE), Own(Reach.Rotary.Sin_B1TE)), Reach.Mask is null ? null : Own(Reach.Mask)) },
            Draws?.get_state().DetachFromDisposeScope());

        private static Tensor Own(Tensor tensor) => tensor.detach().DetachFromDisposeScope();
    }

    private sealed record KeptPass(Tensor X_BTD, LayerPass Pass, Tensor? State) : IDisposable
    {
        public Tensor Again(Tensor x_BTD)
        {
            if (State is null) return Pass.Forward(x_BTD);
            using var now = Pass.Draws!.get_state();
            Pass.Draws.set_state(State);
            var y_BTD = Pass.Forward(x_BTD);
            Pass.Draws.set_state(now);
            return y_BTD;
        }

        public void Dispose()
        {
            X_BTD.Dispose();
            Pass.Reach.Rotary.Cos_B1TE.Dispose();
            Pass.Reach.Rotary.Sin_B1TE.Dispose();
            Pass.Reach.Mask?.Dispose();
            State?.Dispose();
        }
    }
}
