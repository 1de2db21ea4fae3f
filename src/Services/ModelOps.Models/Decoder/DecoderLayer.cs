using ModelOps.ModelFiles;
using ModelOps.Models.Weights;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace ModelOps.Models.Decoder;

// Shapes: B rows, T positions, S positions with those read before, D width, H query heads, K key/value heads, E head size.

/// <summary>What positions are, and what each of them may see.</summary>
/// <param name="Mask">(B or 1, 1, T, S), added to the scores; null: plain causal attention, nothing read before.</param>
/// <param name="Documents">Lengths of the documents that the rows consist of, one row after the other, where there is no mask; null: a row is a document.</param>
internal readonly record struct AttentionReach(Rotary Rotary, Tensor? Mask, IReadOnlyList<long>? Documents = null);

/// <summary>
/// x + attention(norm(x)), then x + feed-forward(norm(x)): the pre-norm block with grouped-query attention and a gated feed-forward
/// part. What a family does differently stands in <see cref="ModelFamily"/>.
/// </summary>
internal sealed class DecoderLayer : IDisposable
{
    private readonly ModelConfig config;
    private readonly Projection query, key, value, output, gate, up, down;
    private readonly RmsNorm attentionNorm, feedForwardNorm;
    private readonly RmsNorm? afterAttentionNorm, afterFeedForwardNorm, queryNorm, keyNorm;
    private readonly Scalar? queryScale;
    private readonly SoftCap? scoreCap;

    /// <param name="vectors">Norms and biases.</param>
    public DecoderLayer(
        ModelConfig config, IReadOnlyDictionary<string, LinearWeight> matrices, IReadOnlyDictionary<string, Tensor> vectors, int layer, Scalar epsilon)
    {
        this.config = config;
        IsLocal = config.LocalLayers.Contains(layer);
        query = Linear("self_attn.q_proj");
        key = Linear("self_attn.k_proj");
        value = Linear("self_attn.v_proj");
        output = Linear("self_attn.o_proj");
        gate = Linear("mlp.gate_proj");
        up = Linear("mlp.up_proj");
        down = Linear("mlp.down_proj");
        attentionNorm = Norm("input_layernorm");
        feedForwardNorm = Norm(config.Family.NormsAfter ? "pre_feedforward_layernorm" : "post_attention_layernorm");
        afterAttentionNorm = config.Family.NormsAfter ? Norm("post_attention_layernorm") : null;
        afterFeedForwardNorm = config.Family.NormsAfter ? Norm("post_feedforward_layernorm") : null;
        queryNorm = config.Family.QueryKeyNorm ? Norm("self_attn.q_norm") : null;
        keyNorm = config.Family.QueryKeyNorm ? Norm("self_attn.k_norm") : null;
        queryScale = config.QueryScalar is { } scalar ? Math.Sqrt(config.HeadDimension / scalar) : null;
        scoreCap = config.AttentionSoftCap is { } cap ? new SoftCap(cap) : null;

        Projection Linear(string module)
        {
            var path = DecoderTensors.Module(layer, module);
            return new(path, matrices[$"{path}.weight"], vectors.GetValueOrDefault($"{path}.bias"));
        }

        RmsNorm Norm(string module) => new(vectors[$"{DecoderTensors.Module(layer, module)}.weight"], epsilon, config.Family.OffsetNorms);
    }

    /// <summary>Whether it sees only the last <see cref="ModelConfig.SlidingWindow"/> positions.</summary>
    public bool IsLocal { get; }

    public IReadOnlyList<Projection> Projections => [query, key, value, output, gate, up, down];

    /// <param name="cache">What it has read before, and writes down what it reads now; null: nothing came before.</param>
    public Tensor Forward(Tensor x_BTD, AttentionReach reach, LayerCache? cache = null)
    {
        using var scope = NewDisposeScope();
        var attended_BTD = Attention(attentionNorm.Forward(x_BTD), reach, cache);
        x_BTD = x_BTD.Plus(afterAttentionNorm?.Forward(attended_BTD) ?? attended_BTD);
        var fed_BTD = FeedForward(feedForwardNorm.Forward(x_BTD));
        return x_BTD.Plus(afterFeedForwardNorm?.Forward(fed_BTD) ?? fed_BTD).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        queryScale?.Dispose();
        scoreCap?.Dispose();
    }

    private Tensor FeedForward(Tensor x_BTD)
    {
        var gated = gate.Forward(x_BTD);
        return down.Forward((config.Family.IsGelu ? Gelu.Tanh(gated) : F.silu(gated)) * up.Forward(x_BTD));
    }

    private Tensor Attention(Tensor x_BTD, AttentionReach reach, LayerCache? cache)
    {
        var q_BHTE = Heads(query.Forward(x_BTD), config.HeadCount);
        var k_BKTE = Heads(key.Forward(x_BTD), config.KeyValueHeadCount);
        q_BHTE = reach.Rotary.Apply(queryNorm?.Forward(q_BHTE) ?? q_BHTE);
        k_BKTE = reach.Rotary.Apply(keyNorm?.Forward(k_BKTE) ?? k_BKTE);
        if (queryScale is not null) q_BHTE = q_BHTE * queryScale;
        var v_BKTE = Heads(value.Forward(x_BTD), config.KeyValueHeadCount);
        var (k_BKSE, v_BKSE) = cache?.Append(k_BKTE, v_BKTE) ?? (k_BKTE, v_BKTE);
        var (k_BHSE, v_BHSE) = (Grouped(k_BKSE), Grouped(v_BKSE));
        var mixed_BHTE = (scoreCap, reach.Documents) switch
        {
            ({ } cap, _) => CappedAttention(q_BHTE, k_BHSE, v_BHSE, reach.Mask!, cap),
            (null, { } documents) => DocumentAttention(q_BHTE, k_BHSE, v_BHSE, documents),
            _ => F.scaled_dot_product_attention(q_BHTE, k_BHSE, v_BHSE, reach.Mask!, is_casual: reach.Mask is null),
        };
        return output.Forward(mixed_BHTE.transpose(1, 2).flatten(2));
    }

    /// <summary>Each document for itself: what a mask would hide is not computed, and a row of short documents costs what they cost.</summary>
    private static Tensor DocumentAttention(Tensor q_BHTE, Tensor k_BHTE, Tensor v_BHTE, IReadOnlyList<long> documents)
    {
        long[] lengths = [.. documents];
        var (q, k, v) = (Split(q_BHTE), Split(k_BHTE), Split(v_BHTE));
        var mixed = lengths.Select((_, i) => F.scaled_dot_product_attention(q[i], k[i], v[i], is_casual: true).squeeze(0).transpose(0, 1));
        return cat([.. mixed], 0).unflatten(0, q_BHTE.shape[0], q_BHTE.shape[2]).transpose(1, 2);

        // (1, H, length, E) of each document
        Tensor[] Split(Tensor x_BHTE) => [.. x_BHTE.transpose(1, 2).flatten(0, 1).split(lengths).Select(document => document.transpose(0, 1).unsqueeze(0))];
    }

    /// <summary>softmax(cap(Q Kᵀ / √E) + mask) V; the fused kernel has no place for a cap.</summary>
    private Tensor CappedAttention(Tensor q_BHTE, Tensor k_BHSE, Tensor v_BHSE, Tensor mask_B1TS, SoftCap cap)
    {
        using Scalar scale = 1 / Math.Sqrt(config.HeadDimension);
        var scores_BHTS = cap.Apply(q_BHTE.matmul(k_BHSE.transpose(-1, -2)) * scale).Plus(mask_B1TS);
        return F.softmax(scores_BHTS, -1).matmul(v_BHSE);
    }

    private Tensor Heads(Tensor x_BTHE, int heads) => x_BTHE.unflatten(2, heads, config.HeadDimension).transpose(1, 2);

    /// <summary>(B, K, S, E) to (B, H, S, E): each key/value head serves H / K neighbouring query heads.</summary>
    private Tensor Grouped(Tensor x_BKSE)
    {
        var group = config.HeadCount / config.KeyValueHeadCount;
        if (group == 1) return x_BKSE;
        var (rows, length) = (x_BKSE.shape[0], x_BKSE.shape[2]);
        return x_BKSE.unsqueeze(2).expand(rows, config.KeyValueHeadCount, group, length, config.HeadDimension).flatten(1, 2);
    }
}
