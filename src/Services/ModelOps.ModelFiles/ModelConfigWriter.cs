using System.Text.Json;

namespace ModelOps.ModelFiles;

/// <summary>Writes the keys that transformers knows, in its alphabetical order.</summary>
internal static class ModelConfigWriter
{
    public static void Write(Utf8JsonWriter json, ModelConfig config)
    {
        var family = config.Family;
        json.WriteStartObject();
        json.WriteStartArray("architectures");
        json.WriteStringValue(family.Architecture);
        json.WriteEndArray();
        json.WriteBoolean("attention_bias", false); // Qwen 2 has its biases whatever this says
        WriteOrNull(json, "attn_logit_softcapping", config.AttentionSoftCap);
        if (config.BosTokenId is { } bos) json.WriteNumber("bos_token_id", bos);
        WriteEos(json, config.EosTokenIds);
        WriteOrNull(json, "final_logit_softcapping", config.FinalSoftCap);
        json.WriteNumber("head_dim", config.HeadDimension);
        json.WriteString("hidden_act", family.Activation);
        if (family.IsGelu) json.WriteString("hidden_activation", family.Activation);
        json.WriteNumber("hidden_size", config.HiddenSize);
        json.WriteNumber("intermediate_size", config.IntermediateSize);
        json.WriteNumber("max_position_embeddings", config.MaxPositions);
        json.WriteBoolean("mlp_bias", false);
        json.WriteString("model_type", family.ModelType);
        json.WriteNumber("num_attention_heads", config.HeadCount);
        json.WriteNumber("num_hidden_layers", config.LayerCount);
        json.WriteNumber("num_key_value_heads", config.KeyValueHeadCount);
        WriteIfAny(json, "query_pre_attn_scalar", config.QueryScalar);
        json.WriteNumber("rms_norm_eps", config.RmsNormEpsilon);
        WriteIfAny(json, "rope_local_base_freq", config.LocalRopeTheta);
        config.RopeScaling?.Write(json);
        json.WriteNumber("rope_theta", config.RopeTheta);
        WriteWindow(json, config);
        json.WriteBoolean("tie_word_embeddings", config.TieWordEmbeddings);
        json.WriteString("torch_dtype", config.Dtype.TorchName());
        json.WriteNumber("vocab_size", config.VocabularySize);
        json.WriteEndObject();
    }

    private static void WriteIfAny(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number) json.WriteNumber(name, number);
    }

    // Where the key is missing, transformers takes its own default.
    private static void WriteOrNull(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number) json.WriteNumber(name, number);
        else json.WriteNull(name);
    }

    private static void WriteEos(Utf8JsonWriter json, IReadOnlyList<int> ids)
    {
        if (ids.Count == 1)
        {
            json.WriteNumber("eos_token_id", ids[0]);
        }
        else if (ids.Count > 1)
        {
            json.WriteStartArray("eos_token_id");
            foreach (var id in ids) json.WriteNumberValue(id);
            json.WriteEndArray();
        }
    }

    private static void WriteWindow(Utf8JsonWriter json, ModelConfig config)
    {
        WriteOrNull(json, "sliding_window", config.SlidingWindow);
        if (config.SlidingWindow is null) return;
        json.WriteBoolean("use_sliding_window", true);
        json.WriteStartArray("layer_types");
        for (var layer = 0; layer < config.LayerCount; layer++)
            json.WriteStringValue(config.LocalLayers.Contains(layer) ? ModelConfigReader.LocalLayer : ModelConfigReader.GlobalLayer);
        json.WriteEndArray();
    }
}
