using System.Text.Json;

namespace ModelOps.ModelFiles.Peft;

/// <summary>What adapter_config.json says of a LoRA adapter. https://huggingface.co/docs/peft/package_reference/lora.</summary>
public sealed record AdapterConfig
{
    public const string FileName = "adapter_config.json";

    private static readonly string[] UnsupportedFields =
        ["modules_to_save", "rank_pattern", "alpha_pattern", "target_parameters", "trainable_token_indices", "alora_invocation_tokens"];

    /// <summary><c>r</c>: the inner dimension of B A.</summary>
    public required int Rank { get; init; }

    /// <summary><c>lora_alpha</c>.</summary>
    public required double Alpha { get; init; }

    /// <summary>Last parts of the names of the modules that have an adapter, e.g. <c>q_proj</c>.</summary>
    public required IReadOnlyList<string> TargetModules { get; init; }

    /// <summary>Dropout in training on the adapter's input, 0 to below 1.</summary>
    public double Dropout { get; init; }

    /// <summary>Rank-stabilized LoRA: the scale is alpha / sqrt(r). https://arxiv.org/abs/2312.03732.</summary>
    public bool UseRankStabilizedScale { get; init; }

    /// <summary><c>use_dora</c>: the rows of the adapted weight have trained lengths. https://arxiv.org/abs/2402.09353.</summary>
    public bool IsDecomposed { get; init; }

    /// <summary>The model that the adapter was trained on, as a hub name or path; information only.</summary>
    public string? BaseModel { get; init; }

    /// <summary>What B A is multiplied with before it is added to a weight.</summary>
    public double Scale => UseRankStabilizedScale ? Alpha / Math.Sqrt(Rank) : Alpha / Rank;

    /// <exception cref="InvalidModelFileException">Names every field that is missing, wrong or asks for something unsupported.</exception>
    public static AdapterConfig Load(string path) => JsonFile.Read(path, root => Read(path, new JsonFields(root)));

    /// <summary>Writes an adapter_config.json that PEFT, vLLM and llama.cpp's converter read.</summary>
    public void Save(string path) => JsonFile.Write(path, json =>
    {
        json.WriteStartObject();
        json.WriteString("base_model_name_or_path", BaseModel);
        json.WriteString("bias", "none");
        json.WriteBoolean("fan_in_fan_out", false);
        json.WriteBoolean("inference_mode", true);
        json.WriteBoolean("init_lora_weights", true);
        json.WriteNumber("lora_alpha", Alpha);
        json.WriteNumber("lora_dropout", Dropout);
        json.WriteNull("modules_to_save");
        json.WriteString("peft_type", "LORA");
        json.WriteNumber("r", Rank);
        json.WriteStartArray("target_modules");
        foreach (var module in TargetModules) json.WriteStringValue(module);
        json.WriteEndArray();
        json.WriteString("task_type", "CAUSAL_LM");
        json.WriteBoolean("use_dora", IsDecomposed);
        json.WriteBoolean("use_rslora", UseRankStabilizedScale);
        json.WriteEndObject();
    });

    private static AdapterConfig Read(string path, JsonFields fields)
    {
        ReportUnsupported(fields);
        var config = new AdapterConfig
        {
            Rank = fields.PositiveInt("r"),
            Alpha = fields.PositiveNumber("lora_alpha"),
            TargetModules = fields.Texts("target_modules"),
            Dropout = fields.Number("lora_dropout", 0),
            UseRankStabilizedScale = fields.Flag("use_rslora", false),
            IsDecomposed = fields.Flag("use_dora", false),
            BaseModel = fields.Text("base_model_name_or_path"),
        };
        if (config.TargetModules is [] && fields.Errors.Count == 0) fields.Report("\"target_modules\" must be a list of module names");
        if (config.Dropout is < 0 or >= 1) fields.Report($"\"lora_dropout\" must be at least 0 and below 1, found {config.Dropout}");
        fields.ThrowIfAny(path);
        return config;
    }

    private static void ReportUnsupported(JsonFields fields)
    {
        if (fields.Text("peft_type") is not "LORA") fields.Report("\"peft_type\" must be LORA");
        if (fields.Text("task_type") is { } task and not "CAUSAL_LM") fields.Report($"\"task_type\" {task} is not supported; CAUSAL_LM is");
        if (fields.Text("bias") is { } bias and not "none") fields.Report($"\"bias\" {bias} is not supported; none is");
        foreach (var flag in (string[])["fan_in_fan_out", "lora_bias"])
        {
            if (fields.Flag(flag, false)) fields.Report($"\"{flag}\" is not supported");
        }

        foreach (var name in UnsupportedFields)
        {
            if (fields.Find(name) is { } value && !IsEmpty(value)) fields.Report($"\"{name}\" is not supported");
        }
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };
}
