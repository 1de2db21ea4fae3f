using System.Text.Json;

namespace ModelOps.ModelFiles;

/// <summary>Reads one config.json; what is missing, wrong or unsupported is gathered before it fails.</summary>
internal static class ModelConfigReader
{
    public const string LocalLayer = "sliding_attention";
    public const string GlobalLayer = "full_attention";

    private const double DefaultGemma3RopeTheta = 1_000_000;
    private const int DefaultSlidingWindow = 4096;
    private const double DefaultAttentionSoftCap = 50;
    private const double DefaultFinalSoftCap = 30;

    public static ModelConfig Read(string path, JsonFields fields)
    {
        var family = ReadFamily(fields);
        ReportUnsupported(fields, family);
        var gemma2 = family == ModelFamily.Gemma2;
        var hiddenSize = fields.PositiveInt("hidden_size");
        var headCount = fields.PositiveInt("num_attention_heads");
        var config = new ModelConfig
        {
            Family = family,
            HiddenSize = hiddenSize,
            IntermediateSize = fields.PositiveInt("intermediate_size"),
            LayerCount = fields.PositiveInt("num_hidden_layers"),
            HeadCount = headCount,
            KeyValueHeadCount = fields.PositiveInt("num_key_value_heads", headCount),
            HeadDimension = fields.PositiveInt("head_dim", DefaultHeadDimension(family, hiddenSize, headCount)),
            VocabularySize = fields.PositiveInt("vocab_size"),
            MaxPositions = fields.PositiveInt("max_position_embeddings"),
            RmsNormEpsilon = fields.PositiveNumber("rms_norm_eps", 1e-6),
            QueryScalar = fields.Find("query_pre_attn_scalar") is null ? null : fields.PositiveNumber("query_pre_attn_scalar"),
            AttentionSoftCap = ReadSoftCap(fields, "attn_logit_softcapping", gemma2 ? DefaultAttentionSoftCap : null),
            FinalSoftCap = ReadSoftCap(fields, "final_logit_softcapping", gemma2 ? DefaultFinalSoftCap : null),
            TieWordEmbeddings = fields.Flag("tie_word_embeddings", family.ScaledEmbedding), // Gemma's default, unlike the others'
            BosTokenId = fields.TokenIds("bos_token_id") is [var bos, ..] ? bos : null,
            EosTokenIds = fields.TokenIds("eos_token_id"),
            Dtype = ReadDtype(fields),
        };
        config = ReadWindow(fields, ReadRope(fields, config));
        ReportInconsistencies(fields, config);
        fields.ThrowIfAny(path);
        return config;
    }

    private static ModelFamily ReadFamily(JsonFields fields)
    {
        var architectures = fields.Texts("architectures");
        var family = architectures is [var name] ? ModelFamily.All.FirstOrDefault(family => family.Architecture == name) : null;
        if (family is null)
            fields.Report($"architecture {(architectures is [] ? "(none)" : string.Join(", ", architectures))} is not supported; "
                + $"{string.Join(", ", ModelFamily.All.Select(known => known.Architecture))} are");
        return family ?? ModelFamily.Llama;
    }

    private static void ReportUnsupported(JsonFields fields, ModelFamily family)
    {
        // Qwen 2 has biases whatever it says, and an unknown family may have them.
        if (fields.Flag("attention_bias", false) && !family.AttentionBias)
            fields.Report($"\"attention_bias\": attention with biases is not supported for {family.Architecture}");
        if (fields.Flag("mlp_bias", false)) fields.Report("\"mlp_bias\": a feed-forward part with biases is not supported");
        // Gemma's first files say "gelu" in hidden_act and what they mean in hidden_activation.
        var activationKey = fields.Find("hidden_activation") is null ? "hidden_act" : "hidden_activation";
        if (fields.Text(activationKey) is { } activation && activation != family.Activation)
            fields.Report($"\"{activationKey}\": {activation} is not supported; {family.Activation} is");
        if (fields.Find("quantization_config") is not null)
            fields.Report("\"quantization_config\": quantized weights are not supported; use the original model");
    }

    /// <summary>Gemma's and Qwen 3's own defaults are not hidden size / heads, so that the file always says.</summary>
    private static int? DefaultHeadDimension(ModelFamily family, int hiddenSize, int headCount) =>
        family.ScaledEmbedding ? 256 : family == ModelFamily.Qwen3 ? 128 : Math.Max(1, hiddenSize / headCount);

    private static double? ReadSoftCap(JsonFields fields, string name, double? absent) =>
        fields.IsNull(name) ? null : fields.Find(name) is null ? absent : fields.PositiveNumber(name);

    /// <summary>transformers 5 moved rope_theta and rope_scaling into rope_parameters, which Gemma 3 has twice: by kind of layer.</summary>
    private static ModelConfig ReadRope(JsonFields fields, ModelConfig config)
    {
        var gemma3 = config.Family == ModelFamily.Gemma3;
        var theta = gemma3 ? DefaultGemma3RopeTheta : ModelConfig.DefaultRopeTheta;
        double? local = gemma3 ? fields.PositiveNumber("rope_local_base_freq", ModelConfig.DefaultRopeTheta) : null;
        var name = fields.Find("rope_parameters") is null ? "rope_scaling" : "rope_parameters";
        if (fields.Find(name) is not { } parameters)
            return config with { RopeTheta = fields.PositiveNumber("rope_theta", theta), LocalRopeTheta = local };
        if (parameters.ValueKind != JsonValueKind.Object)
        {
            fields.Report($"\"{name}\" must be an object, found {JsonFields.Shorten(parameters)}");
            return config;
        }

        if (gemma3 && Member(parameters, LocalLayer) is { } localParameters)
            local = Theta(localParameters, local!.Value);
        if (gemma3 && Member(parameters, GlobalLayer) is { } globalParameters)
            parameters = globalParameters;
        return config with
        {
            RopeTheta = Theta(parameters, theta),
            LocalRopeTheta = local,
            RopeScaling = RopeScaling.Read(parameters, name, config.MaxPositions, fields),
        };

        double Theta(JsonElement element, double absent)
        {
            if (!element.TryGetProperty("rope_theta", out _)) return fields.PositiveNumber("rope_theta", absent);
            var own = new JsonFields(element);
            var value = own.PositiveNumber("rope_theta");
            foreach (var error in own.Errors) fields.Report($"\"{name}\": {error}");
            return value;
        }

        static JsonElement? Member(JsonElement element, string key) =>
            element.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;
    }

    private static ModelConfig ReadWindow(JsonFields fields, ModelConfig config)
    {
        var usedUnlessNull = config.Family.ModelType is "mistral" or "gemma2" or "gemma3_text"; // Llama ignores it, Qwen asks for a flag
        if (fields.Errors.Count > 0 || fields.IsNull("sliding_window") || !(usedUnlessNull || fields.Flag("use_sliding_window", false))
            || config.Family == ModelFamily.Llama)
            return config;
        IReadOnlyList<int> local = fields.Find("layer_types") is null ? DefaultLocalLayers(fields, config) : ReadLayerTypes(fields, config);
        return local is [] ? config : config with { SlidingWindow = fields.PositiveInt("sliding_window", DefaultSlidingWindow), LocalLayers = local };
    }

    /// <summary>What transformers takes where no layer_types are given.</summary>
    private static int[] DefaultLocalLayers(JsonFields fields, ModelConfig config)
    {
        Func<int, bool> isLocal = config.Family.ModelType switch
        {
            "gemma2" => layer => layer % 2 == 0,
            "gemma3_text" when fields.PositiveInt("sliding_window_pattern", 6) is var period => layer => (layer + 1) % period != 0,
            "qwen2" or "qwen3" when fields.PositiveInt("max_window_layers", 28) is var first => layer => layer >= first,
            _ => _ => true,
        };
        return [.. Enumerable.Range(0, config.LayerCount).Where(isLocal)];
    }

    private static int[] ReadLayerTypes(JsonFields fields, ModelConfig config)
    {
        var types = fields.Texts("layer_types");
        foreach (var type in types.Distinct().Where(type => type is not (LocalLayer or GlobalLayer)))
            fields.Report($"\"layer_types\": {type} is not supported; {LocalLayer} and {GlobalLayer} are");
        if (types.Count != config.LayerCount)
            fields.Report($"\"layer_types\" has {types.Count} items; \"num_hidden_layers\" is {config.LayerCount}");
        return [.. types.Index().Where(entry => entry.Item == LocalLayer).Select(entry => entry.Index)];
    }

    private static Dtype ReadDtype(JsonFields fields)
    {
        if ((fields.Text("torch_dtype") ?? fields.Text("dtype")) is not { } name) return Dtype.F32;
        if (DtypeExtensions.TryParseTorch(name, out var dtype)) return dtype;
        fields.Report($"\"torch_dtype\": {name} is not supported; float32, float16 and bfloat16 are");
        return Dtype.F32;
    }

    private static void ReportInconsistencies(JsonFields fields, ModelConfig config)
    {
        if (fields.Errors.Count > 0) return;
        if (config.HeadCount % config.KeyValueHeadCount != 0)
            fields.Report($"\"num_attention_heads\" {config.HeadCount} is not a multiple of \"num_key_value_heads\" {config.KeyValueHeadCount}");
        if (config.HeadDimension % 2 != 0) fields.Report($"\"head_dim\" {config.HeadDimension} is odd; RoPE rotates pairs");
        if (fields.Find("head_dim") is null && config.HeadDimension == config.HiddenSize / config.HeadCount && config.HiddenSize % config.HeadCount != 0)
            fields.Report(
                $"\"hidden_size\" {config.HiddenSize} is not a multiple of \"num_attention_heads\" {config.HeadCount}, and \"head_dim\" is missing");
        if (config.BosTokenId >= config.VocabularySize)
            fields.Report($"\"bos_token_id\" {config.BosTokenId} is not below \"vocab_size\" {config.VocabularySize}");
        foreach (var id in config.EosTokenIds.Where(id => id >= config.VocabularySize))
            fields.Report($"\"eos_token_id\" {id} is not below \"vocab_size\" {config.VocabularySize}");
    }
}
