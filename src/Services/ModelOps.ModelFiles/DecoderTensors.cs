namespace ModelOps.ModelFiles;

/// <summary>The tensors of a decoder in Hugging Face layout. Linear weights are [output, input].</summary>
public static class DecoderTensors
{
    public const string Embedding = "model.embed_tokens.weight";

    public const string FinalNorm = "model.norm.weight";

    public const string Head = "lm_head.weight";

    /// <summary>The linear modules of a layer, e.g. <c>self_attn.q_proj</c>: what LoRA calls all-linear.</summary>
    public static IReadOnlyList<string> LinearModules { get; } =
    [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ];

    /// <summary>E.g. <c>model.layers.3.self_attn.q_proj</c>.</summary>
    public static string Module(int layer, string module) => $"model.layers.{layer}.{module}";

    /// <summary>The full names of all linear modules of all layers.</summary>
    public static IEnumerable<string> AllLinearModules(ModelConfig config) =>
        Enumerable.Range(0, config.LayerCount).SelectMany(layer => LinearModules.Select(module => Module(layer, module)));

    /// <summary>Every tensor that the model must have, with its shape.</summary>
    public static IEnumerable<(string Name, long[] Shape)> Of(ModelConfig config)
    {
        yield return (Embedding, [config.VocabularySize, config.HiddenSize]);
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            foreach (var norm in NormModules(config.Family)) yield return ($"{Module(layer, norm)}.weight", [config.HiddenSize]);
            foreach (var norm in QueryKeyNormModules(config.Family)) yield return ($"{Module(layer, norm)}.weight", [config.HeadDimension]);
            foreach (var module in LinearModules)
            {
                var shape = LinearShape(config, module);
                yield return ($"{Module(layer, module)}.weight", shape);
                if (HasBias(config.Family, module)) yield return ($"{Module(layer, module)}.bias", [shape[0]]);
            }
        }

        yield return (FinalNorm, [config.HiddenSize]);
        if (!config.TieWordEmbeddings) yield return (Head, [config.VocabularySize, config.HiddenSize]);
    }

    /// <summary>Whether the linear module, named as in <see cref="LinearModules"/>, adds a bias.</summary>
    public static bool HasBias(ModelFamily family, string module) =>
        family.AttentionBias && module is ("self_attn.q_proj" or "self_attn.k_proj" or "self_attn.v_proj");

    /// <summary>Whether the tensor is a norm's weight.</summary>
    public static bool IsNorm(string name) => name.EndsWith("norm.weight", StringComparison.Ordinal);

    public static long ParameterCount(ModelConfig config) =>
        Of(config).Sum(tensor => tensor.Shape.Aggregate(1L, (product, dimension) => product * dimension));

    /// <summary>Weights of all linear modules of all layers, biases left out.</summary>
    public static long LinearParameterCount(ModelConfig config) =>
        config.LayerCount * LinearModules.Sum(module => LinearShape(config, module) is [var outputs, var inputs] ? outputs * inputs : 0);

    /// <summary>Tensors that files carry and the model does not need: a copy of the tied embedding, RoPE frequencies of old
    /// exports.</summary>
    public static bool IsRedundant(ModelConfig config, string name) =>
        (config.TieWordEmbeddings && name == Head) || name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    private static string[] NormModules(ModelFamily family) => family.NormsAfter
        ? ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]
        : ["input_layernorm", "post_attention_layernorm"];

    private static string[] QueryKeyNormModules(ModelFamily family) => family.QueryKeyNorm ? ["self_attn.q_norm", "self_attn.k_norm"] : [];

    private static long[] LinearShape(ModelConfig config, string module)
    {
        long hidden = config.HiddenSize;
        var queries = (long)config.HeadCount * config.HeadDimension;
        var keys = (long)config.KeyValueHeadCount * config.HeadDimension;
        return module switch
        {
            "self_attn.q_proj" => [queries, hidden],
            "self_attn.k_proj" or "self_attn.v_proj" => [keys, hidden],
            "self_attn.o_proj" => [hidden, queries],
            "mlp.down_proj" => [hidden, config.IntermediateSize],
            _ => [config.IntermediateSize, hidden],
        };
    }
}
