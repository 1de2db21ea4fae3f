namespace ModelOps.ModelFiles.Conversion;

/// <summary>What llama.cpp calls the tensors of a Llama-family model.</summary>
internal static class GgufTensorNames
{
    private const string LayerPrefix = "model.layers.";

    private static readonly Dictionary<string, string> Names = new()
    {
        [LlamaTensors.Embedding] = "token_embd.weight",
        [LlamaTensors.FinalNorm] = "output_norm.weight",
        [LlamaTensors.Head] = "output.weight",
        ["input_layernorm.weight"] = "attn_norm.weight",
        ["self_attn.q_proj.weight"] = "attn_q.weight",
        ["self_attn.k_proj.weight"] = "attn_k.weight",
        ["self_attn.v_proj.weight"] = "attn_v.weight",
        ["self_attn.o_proj.weight"] = "attn_output.weight",
        ["post_attention_layernorm.weight"] = "ffn_norm.weight",
        ["mlp.gate_proj.weight"] = "ffn_gate.weight",
        ["mlp.up_proj.weight"] = "ffn_up.weight",
        ["mlp.down_proj.weight"] = "ffn_down.weight",
    };

    /// <param name="name">One of <see cref="LlamaTensors.Of"/>.</param>
    public static string Of(string name)
    {
        if (!name.StartsWith(LayerPrefix, StringComparison.Ordinal)) return Names[name];
        var dot = name.IndexOf('.', LayerPrefix.Length);
        return $"blk.{name[LayerPrefix.Length..dot]}.{Names[name[(dot + 1)..]]}";
    }
}
