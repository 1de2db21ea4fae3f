using ModelOps.ModelFiles;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace ModelOps.Models.Decoder;

// Shapes: B rows, T positions, D width, H query heads, K key/value heads, E head size.

/// <summary>x + attention(norm(x)), then x + feed-forward(norm(x)): Llama's pre-norm block with grouped-query attention and SwiGLU.</summary>
internal sealed class DecoderLayer(ModelConfig config, IReadOnlyDictionary<string, Tensor> weights, int layer, Scalar epsilon)
{
    private readonly Tensor attentionNorm_D = weights[WeightName(layer, "input_layernorm")];
    private readonly Tensor feedForwardNorm_D = weights[WeightName(layer, "post_attention_layernorm")];
    private readonly Projection query = Linear(weights, layer, "self_attn.q_proj");
    private readonly Projection key = Linear(weights, layer, "self_attn.k_proj");
    private readonly Projection value = Linear(weights, layer, "self_attn.v_proj");
    private readonly Projection output = Linear(weights, layer, "self_attn.o_proj");
    private readonly Projection gate = Linear(weights, layer, "mlp.gate_proj");
    private readonly Projection up = Linear(weights, layer, "mlp.up_proj");
    private readonly Projection down = Linear(weights, layer, "mlp.down_proj");

    public IReadOnlyList<Projection> Projections => [query, key, value, output, gate, up, down];

    /// <param name="mask_B1TT">Added to the scores; null: plain causal attention.</param>
    public Tensor Forward(Tensor x_BTD, Rotary rotary, Tensor? mask_B1TT)
    {
        using var scope = NewDisposeScope();
        var attended_BTD = x_BTD.Plus(Attention(RmsNorm(x_BTD, attentionNorm_D, epsilon), rotary, mask_B1TT));
        var normed_BTD = RmsNorm(attended_BTD, feedForwardNorm_D, epsilon);
        var fed_BTD = down.Forward(F.silu(gate.Forward(normed_BTD)) * up.Forward(normed_BTD));
        return attended_BTD.Plus(fed_BTD).MoveToOuterDisposeScope();
    }

    /// <summary>x / √(mean(x²) + ε) · w (Zhang and Sennrich 2019).</summary>
    internal static Tensor RmsNorm(Tensor x_BTD, Tensor weight_D, Scalar epsilon) =>
        x_BTD * rsqrt((x_BTD * x_BTD).mean([-1], keepdim: true).Plus(epsilon)) * weight_D; // square() would pass a temporary Scalar

    private Tensor Attention(Tensor x_BTD, Rotary rotary, Tensor? mask_B1TT)
    {
        var q_BHTE = rotary.Apply(Heads(query.Forward(x_BTD), config.HeadCount));
        var k_BHTE = Grouped(rotary.Apply(Heads(key.Forward(x_BTD), config.KeyValueHeadCount)));
        var v_BHTE = Grouped(Heads(value.Forward(x_BTD), config.KeyValueHeadCount));
        var mixed_BHTE = F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, mask_B1TT!, is_casual: mask_B1TT is null);
        return output.Forward(mixed_BHTE.transpose(1, 2).flatten(2));
    }

    private Tensor Heads(Tensor x_BTHE, int heads) => x_BTHE.unflatten(2, heads, config.HeadDimension).transpose(1, 2);

    /// <summary>(B, K, T, E) to (B, H, T, E): each key/value head serves H / K neighbouring query heads.</summary>
    private Tensor Grouped(Tensor x_BKTE)
    {
        var group = config.HeadCount / config.KeyValueHeadCount;
        if (group == 1) return x_BKTE;
        var (rows, length) = (x_BKTE.shape[0], x_BKTE.shape[2]);
        return x_BKTE.unsqueeze(2).expand(rows, config.KeyValueHeadCount, group, length, config.HeadDimension).flatten(1, 2);
    }

    private static string WeightName(int layer, string module) => $"{LlamaTensors.Module(layer, module)}.weight";

    private static Projection Linear(IReadOnlyDictionary<string, Tensor> weights, int layer, string module) =>
        new(LlamaTensors.Module(layer, module), weights[WeightName(layer, module)]);
}
