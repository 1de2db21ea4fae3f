using System.Globalization;
using System.Runtime.InteropServices;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.ModelFiles.Conversion;

/// <summary>A decoder's shape and tensors in llama.cpp's words.</summary>
internal static class GgufArchitecture
{
    public const uint QuantizationVersion = 2; // GGML_QNT_VERSION

    private const string LayerPrefix = "model.layers.";
    private const int Gemma2Period = 2;
    private const int Gemma3Period = 6;

    private static readonly Dictionary<string, string> Names = new()
    {
        [DecoderTensors.Embedding] = "token_embd.weight",
        [DecoderTensors.FinalNorm] = "output_norm.weight",
        [DecoderTensors.Head] = "output.weight",
        ["input_layernorm"] = "attn_norm",
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output",
        ["self_attn.q_norm"] = "attn_q_norm",
        ["self_attn.k_norm"] = "attn_k_norm",
        ["pre_feedforward_layernorm"] = "ffn_norm",
        ["post_feedforward_layernorm"] = "post_ffw_norm",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
    };

    /// <param name="name">One of <see cref="DecoderTensors.Of"/>.</param>
    public static string TensorName(string name, ModelFamily family)
    {
        if (!name.StartsWith(LayerPrefix, StringComparison.Ordinal)) return Names[name];
        var (layerEnd, kind) = (name.IndexOf('.', LayerPrefix.Length), name.LastIndexOf('.'));
        var module = name[(layerEnd + 1)..kind];
        // The one name that means two things: with norms after, the norm of what attention gives; else the norm before the feed-forward part.
        var ggufModule = module == "post_attention_layernorm" ? family.NormsAfter ? "post_attention_norm" : "ffn_norm" : Names[module];
        return $"blk.{name[LayerPrefix.Length..layerEnd]}.{ggufModule}{name[kind..]}";
    }

    public static (Dtype Dtype, GgmlType Type) StoredAs(GgufWeightType type) => type switch
    {
        GgufWeightType.F32 => (Dtype.F32, GgmlType.F32),
        GgufWeightType.F16 => (Dtype.F16, GgmlType.F16),
        _ => (Dtype.BF16, GgmlType.BF16),
    };

    /// <summary>llama.cpp's number for a file of such weights (llama_ftype).</summary>
    public static uint FileType(GgufWeightType type) => type switch { GgufWeightType.F32 => 0u, GgufWeightType.F16 => 1u, _ => 32u };

    /// <summary>Whether llama.cpp has the rows of each head in another order: see <see cref="InterleaveHalves"/>.</summary>
    public static bool IsReordered(string name, ModelFamily family) => family.PairsNeighbours
        && (name.EndsWith("q_proj.weight", StringComparison.Ordinal) || name.EndsWith("k_proj.weight", StringComparison.Ordinal));

    /// <summary>Hugging Face rotates element i of a head with i + d/2, llama.cpp 2i with 2i + 1.</summary>
    /// <param name="head">[d, columns].</param>
    public static void InterleaveHalves(ReadOnlySpan<float> head, Span<float> result, int columns)
    {
        var half = head.Length / columns / 2;
        for (var i = 0; i < half; i++)
        {
            head.Slice(i * columns, columns).CopyTo(result.Slice(2 * i * columns, columns));
            head.Slice((half + i) * columns, columns).CopyTo(result.Slice(((2 * i) + 1) * columns, columns));
        }
    }

    public static Dictionary<string, object> Metadata(ModelConfig config)
    {
        var architecture = config.Family.GgufArchitecture;
        var metadata = new Dictionary<string, object>
        {
            [$"{architecture}.block_count"] = (uint)config.LayerCount,
            [$"{architecture}.context_length"] = (uint)ContextLength(config),
            [$"{architecture}.embedding_length"] = (uint)config.HiddenSize,
            [$"{architecture}.feed_forward_length"] = (uint)config.IntermediateSize,
            [$"{architecture}.attention.head_count"] = (uint)config.HeadCount,
            [$"{architecture}.attention.head_count_kv"] = (uint)config.KeyValueHeadCount,
            [$"{architecture}.attention.key_length"] = (uint)config.HeadDimension,
            [$"{architecture}.attention.value_length"] = (uint)config.HeadDimension,
            [$"{architecture}.attention.layer_norm_rms_epsilon"] = (float)config.RmsNormEpsilon,
            [$"{architecture}.rope.dimension_count"] = (uint)config.HeadDimension,
            [$"{architecture}.rope.freq_base"] = (float)config.RopeTheta,
            [$"{architecture}.vocab_size"] = (uint)config.VocabularySize,
        };
        if (HasWindow(config.Family) && config.SlidingWindow is { } window) metadata[$"{architecture}.attention.sliding_window"] = (uint)window;
        if (config.LocalRopeTheta is { } local) metadata[$"{architecture}.rope.freq_base_swa"] = (float)local;
        if (config.AttentionSoftCap is { } cap) metadata[$"{architecture}.attn_logit_softcapping"] = (float)cap;
        if (config.FinalSoftCap is { } finalCap) metadata[$"{architecture}.final_logit_softcapping"] = (float)finalCap;
        if (config.RopeScaling is { Kind: not RopeScalingKind.Llama3 } scaling)
        {
            metadata[$"{architecture}.rope.scaling.type"] = scaling.Kind == RopeScalingKind.Linear ? "linear" : "yarn";
            metadata[$"{architecture}.rope.scaling.factor"] = (float)scaling.Factor;
            if (scaling.Kind == RopeScalingKind.Yarn)
                metadata[$"{architecture}.rope.scaling.original_context_length"] = (uint)scaling.OriginalPositions;
        }

        return metadata;
    }

    /// <summary>Llama 3's scaling as llama.cpp reads it: what each frequency is divided by.</summary>
    public static IEnumerable<GgufTensorSource> RopeFactors(ModelConfig config)
    {
        if (config.RopeScaling is not { Kind: RopeScalingKind.Llama3 } scaling) yield break;
        var plain = RopeScaling.Frequencies(config.HeadDimension, config.RopeTheta, scaling: null);
        var scaled = RopeScaling.Frequencies(config.HeadDimension, config.RopeTheta, scaling);
        float[] factors = [.. plain.Zip(scaled, (whole, stretched) => (float)(whole / stretched))];
        yield return new GgufTensorSource(
            "rope_freqs.weight", GgmlType.F32, [factors.Length], stream => stream.Write(MemoryMarshal.AsBytes<float>(factors)));
    }

    /// <exception cref="InvalidModelFileException">llama.cpp would compute something else; names everything.</exception>
    public static void ThrowUnlessComputable(ModelFolder model)
    {
        var config = model.Config;
        var errors = new List<string>();
        if (config.AttentionSoftCap is not null != (config.Family == ModelFamily.Gemma2))
            errors.Add($"llama.cpp caps attention scores of Gemma 2, always, and of no other; \"attn_logit_softcapping\" is {Text(config.AttentionSoftCap)}");
        if (config.FinalSoftCap is not null != (config.Family == ModelFamily.Gemma2))
            errors.Add($"llama.cpp caps logits of Gemma 2, always, and of no other; \"final_logit_softcapping\" is {Text(config.FinalSoftCap)}");
        if (config.Family == ModelFamily.Qwen2 && config.HeadDimension * config.HeadCount != config.HiddenSize)
            errors.Add($"llama.cpp takes Qwen 2's heads to be {config.HiddenSize / config.HeadCount} wide; \"head_dim\" is {config.HeadDimension}");
        if (config.QueryScalar is { } scalar && Math.Abs(scalar - QueryScalarOf(config)) > 1e-6)
            errors.Add($"llama.cpp divides scores by the root of {QueryScalarOf(config)}; \"query_pre_attn_scalar\" is {scalar}");
        if (HasWindow(config.Family) && !config.LocalLayers.SequenceEqual(LocalLayersOf(config)))
            errors.Add($"llama.cpp gives a sliding window to the layers {string.Join(", ", LocalLayersOf(config))}; "
                + $"this model has it in {(config.LocalLayers is [] ? "none" : string.Join(", ", config.LocalLayers))}");
        if (errors.Count > 0) throw new InvalidModelFileException(Path.Combine(model.Path, ModelConfig.FileName), errors);
    }

    private static string Text(double? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "not set";

    private static bool HasWindow(ModelFamily family) => family == ModelFamily.Gemma2 || family == ModelFamily.Gemma3;

    /// <summary>llama.cpp knows no window for the other families: up to its length there is no difference.</summary>
    private static int ContextLength(ModelConfig config) =>
        HasWindow(config.Family) ? config.MaxPositions : Math.Min(config.MaxPositions, config.SlidingWindow ?? int.MaxValue);

    private static IEnumerable<int> LocalLayersOf(ModelConfig config)
    {
        var period = config.Family == ModelFamily.Gemma2 ? Gemma2Period : Gemma3Period;
        return Enumerable.Range(0, config.LayerCount).Where(layer => layer % period < period - 1);
    }

    /// <summary>It takes the 27B models of both generations by their number of layers.</summary>
    private static double QueryScalarOf(ModelConfig config) => (config.Family.GgufArchitecture, config.LayerCount) is ("gemma2", 46) or ("gemma3", 62)
        ? config.HiddenSize / config.HeadCount
        : config.HeadDimension;
}
