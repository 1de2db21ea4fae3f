using ModelOps.Models.Decoder;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models;

// Shapes: N supervised positions, C of them in a chunk, D width, V vocabulary.

/// <summary>
/// Mean of −log softmax(cap(h Wᵀ))[target], chunk by chunk: logits of a large vocabulary never stand there whole. Its gradients are made in the
/// forward pass, while a chunk's logits are at hand (Hsu et al. 2024, Liger Kernel), so that nothing is computed twice.
/// </summary>
internal sealed class CrossEntropy : autograd.SingleTensorFunction<CrossEntropy>
{
    /// <summary>Logits at a time: 8 MB of fp32, which stay in the processor's cache.</summary>
    private const long ChunkElements = 1 << 21;

    /// <summary>Positions that are worth reading the head for, even where their logits are more than that.</summary>
    private const long ChunkPositions = 256;

    /// <summary>No more than 64 MB of fp32 in any case.</summary>
    private const long MostElements = 1 << 24;

    private const string Gradients = "gradients";

    private static readonly Scalar one = 1;
    private static readonly Scalar minusOne = -1;

    public override string Name => "CrossEntropy";

    /// <param name="hidden_ND">N at least 1.</param>
    /// <param name="targets_N">int64, each in the vocabulary.</param>
    /// <returns>A scalar, in nats.</returns>
    public static Tensor Mean(Tensor hidden_ND, Tensor head_VD, Tensor targets_N, SoftCap? cap)
    {
        if (is_grad_enabled() && (hidden_ND.requires_grad || head_VD.requires_grad)) return apply(hidden_ND, head_VD, targets_N, new Cap(cap));
        using var frozen = no_grad();
        return Compute(hidden_ND, head_VD, targets_N, cap, hiddenGradient_ND: null, headGradient_VD: null);
    }

    /// <summary>The same of each target alone, without gradients: (N) nats.</summary>
    public static Tensor Each(Tensor hidden_ND, Tensor head_VD, Tensor targets_N, SoftCap? cap)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var nats_N = empty(hidden_ND.shape[0], dtype: ScalarType.Float32, device: hidden_ND.device);
        foreach (var (start, length) in Chunks(hidden_ND.shape[0], head_VD.shape[0]))
        {
            using var chunk = NewDisposeScope();
            var raw_CV = nn.functional.linear(hidden_ND.narrow(0, start, length), head_VD);
            var logits_CV = cap?.Apply(raw_CV) ?? raw_CV;
            var target_C = logits_CV.gather(1, targets_N.narrow(0, start, length).unsqueeze(1)).squeeze(1);
            nats_N.narrow(0, start, length).copy_(logits_CV.logsumexp(1).Plus(target_C.neg()));
        }
        return nats_N.MoveToOuterDisposeScope();
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (hidden_ND, head_VD, targets_N, cap) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], ((Cap)vars[3]).Value);
        using var scope = NewDisposeScope();
        var hiddenGradient_ND = empty_like(hidden_ND).DetachFromDisposeScope();
        var headGradient_VD = head_VD.requires_grad ? zeros_like(head_VD).DetachFromDisposeScope() : null;
        ctx.save_data(Gradients, (hiddenGradient_ND, headGradient_VD)); // save_for_backward gives only inputs and outputs back
        return Compute(hidden_ND, head_VD, targets_N, cap, hiddenGradient_ND, headGradient_VD).MoveToOuterDisposeScope();
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var (hidden_ND, head_VD) = ((Tensor, Tensor?))ctx.get_data(Gradients);
        using (hidden_ND)
        using (head_VD)
            return [hidden_ND * grad_output, head_VD is null ? null! : head_VD * grad_output, null!, null!];
    }

    private static Tensor Compute(Tensor hidden_ND, Tensor head_VD, Tensor targets_N, SoftCap? cap, Tensor? hiddenGradient_ND, Tensor? headGradient_VD)
    {
        using var scope = NewDisposeScope();
        using Scalar share = 1.0 / hidden_ND.shape[0];
        var total = zeros(1, device: hidden_ND.device);
        foreach (var (start, length) in Chunks(hidden_ND.shape[0], head_VD.shape[0]))
        {
            using var chunk = NewDisposeScope();
            var hidden_CD = hidden_ND.narrow(0, start, length);
            var targets_C1 = targets_N.narrow(0, start, length).unsqueeze(1);
            var raw_CV = nn.functional.linear(hidden_CD, head_VD);
            var logits_CV = cap?.Apply(raw_CV) ?? raw_CV;
            var logs_CV = logits_CV.log_softmax(1);
            total.add_(logs_CV.gather(1, targets_C1).sum(), minusOne);
            if (hiddenGradient_ND is null) continue;

            // ∂ loss / ∂ logits = (softmax − onehot) / N, through the cap. What is divided by N is narrower than the logits.
            var gradient_CV = logs_CV.exp_();
            gradient_CV.scatter_add_(1, targets_C1, full(targets_C1.shape, minusOne, dtype: ScalarType.Float32, device: hidden_ND.device));
            if (cap is not null) gradient_CV.mul_(cap.Slope(logits_CV));
            hiddenGradient_ND.narrow(0, start, length).copy_(gradient_CV.matmul(head_VD).mul_(share));
            headGradient_VD?.add_(gradient_CV.t().matmul(hidden_CD * share), one);
        }
        return (total * share).squeeze().MoveToOuterDisposeScope();
    }

    /// <summary>Positions whose logits stand there at a time.</summary>
    public static long ChunkSize(long vocabulary) =>
        Math.Max(1, Math.Min(Math.Max(ChunkPositions, ChunkElements / vocabulary), MostElements / vocabulary));

    private static IEnumerable<(long Start, long Length)> Chunks(long count, long vocabulary)
    {
        var size = ChunkSize(vocabulary);
        for (var start = 0L; start < count; start += size) yield return (start, Math.Min(size, count - start));
    }

    /// <summary>What is passed through <c>apply</c> must not be null.</summary>
    private sealed record Cap(SoftCap? Value);
}
