using System.Text.Json;

namespace ModelOps.ModelFiles;

/// <summary>The shape of a Llama-family decoder, as config.json gives it.</summary>
public sealed record ModelConfig
{
    public const string FileName = "config.json";

    /// <summary>The one architecture that is supported.</summary>
    public const string Llama = "LlamaForCausalLM";

    private const double DefaultRopeTheta = 10_000;

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    /// <summary><c>num_hidden_layers</c>.</summary>
    public required int LayerCount { get; init; }

    /// <summary><c>num_attention_heads</c>.</summary>
    public required int HeadCount { get; init; }

    /// <summary><c>num_key_value_heads</c>; fewer than the heads with grouped-query attention.</summary>
    public required int KeyValueHeadCount { get; init; }

    /// <summary><c>head_dim</c>; hidden size / heads where the file does not say.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>Rows of the embedding; may be more than the tokenizer has tokens.</summary>
    public required int VocabularySize { get; init; }

    /// <summary><c>max_position_embeddings</c>: the longest sequence the model was made for, in tokens.</summary>
    public required int MaxPositions { get; init; }

    public double RmsNormEpsilon { get; init; } = 1e-6;

    public double RopeTheta { get; init; } = DefaultRopeTheta;

    /// <summary>Whether the embedding also serves as the output projection.</summary>
    public bool TieWordEmbeddings { get; init; }

    public int? BosTokenId { get; init; }

    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary><c>torch_dtype</c> (<c>dtype</c> in newer files): F32, F16 or BF16.</summary>
    public Dtype Dtype { get; init; } = Dtype.F32;

    /// <summary>Reads a config.json.</summary>
    /// <exception cref="InvalidModelFileException">Names every field that is missing, wrong or asks for something unsupported.</exception>
    public static ModelConfig Load(string path) => JsonFile.Read(path, root => Read(path, new JsonFields(root)));

    /// <summary>Writes a config.json that Hugging Face's transformers reads.</summary>
    public void Save(string path) => JsonFile.Write(path, json =>
    {
        json.WriteStartObject();
        json.WriteStartArray("architectures");
        json.WriteStringValue(Llama);
        json.WriteEndArray();
        json.WriteBoolean("attention_bias", false);
        if (BosTokenId is { } bos) json.WriteNumber("bos_token_id", bos);
        WriteEos(json);
        json.WriteNumber("head_dim", HeadDimension);
        json.WriteString("hidden_act", "silu");
        json.WriteNumber("hidden_size", HiddenSize);
        json.WriteNumber("intermediate_size", IntermediateSize);
        json.WriteNumber("max_position_embeddings", MaxPositions);
        json.WriteBoolean("mlp_bias", false);
        json.WriteString("model_type", "llama");
        json.WriteNumber("num_attention_heads", HeadCount);
        json.WriteNumber("num_hidden_layers", LayerCount);
        json.WriteNumber("num_key_value_heads", KeyValueHeadCount);
        json.WriteNumber("rms_norm_eps", RmsNormEpsilon);
        json.WriteNumber("rope_theta", RopeTheta);
        json.WriteBoolean("tie_word_embeddings", TieWordEmbeddings);
        json.WriteString("torch_dtype", Dtype.TorchName());
        json.WriteNumber("vocab_size", VocabularySize);
        json.WriteEndObject();
    });

    private void WriteEos(Utf8JsonWriter json)
    {
        if (EosTokenIds.Count == 1)
        {
            json.WriteNumber("eos_token_id", EosTokenIds[0]);
        }
        else if (EosTokenIds.Count > 1)
        {
            json.WriteStartArray("eos_token_id");
            foreach (var id in EosTokenIds) json.WriteNumberValue(id);
            json.WriteEndArray();
        }
    }

    private static ModelConfig Read(string path, JsonFields fields)
    {
        ReportUnsupported(fields);
        var hiddenSize = fields.PositiveInt("hidden_size");
        var headCount = fields.PositiveInt("num_attention_heads");
        var config = new ModelConfig
        {
            HiddenSize = hiddenSize,
            IntermediateSize = fields.PositiveInt("intermediate_size"),
            LayerCount = fields.PositiveInt("num_hidden_layers"),
            HeadCount = headCount,
            KeyValueHeadCount = fields.PositiveInt("num_key_value_heads", headCount),
            HeadDimension = fields.PositiveInt("head_dim", Math.Max(1, hiddenSize / headCount)),
            VocabularySize = fields.PositiveInt("vocab_size"),
            MaxPositions = fields.PositiveInt("max_position_embeddings"),
            RmsNormEpsilon = fields.PositiveNumber("rms_norm_eps", 1e-6),
            RopeTheta = ReadRopeTheta(fields),
            TieWordEmbeddings = fields.Flag("tie_word_embeddings", false),
            BosTokenId = fields.TokenIds("bos_token_id") is [var bos, ..] ? bos : null,
            EosTokenIds = fields.TokenIds("eos_token_id"),
            Dtype = ReadDtype(fields),
        };
        config.ReportInconsistencies(fields);
        fields.ThrowIfAny(path);
        return config;
    }

    private static void ReportUnsupported(JsonFields fields)
    {
        var architectures = fields.Texts("architectures");
        if (architectures is not [Llama])
            fields.Report(
                $"architecture {(architectures is [] ? "(none)" : string.Join(", ", architectures))} is not supported; {Llama} is");
        if (fields.Flag("attention_bias", false)) fields.Report("\"attention_bias\": attention with biases is not supported");
        if (fields.Flag("mlp_bias", false)) fields.Report("\"mlp_bias\": a feed-forward part with biases is not supported");
        if (fields.Text("hidden_act") is { } activation and not "silu")
            fields.Report($"\"hidden_act\": {activation} is not supported; silu is");
        if (fields.Find("quantization_config") is not null)
            fields.Report("\"quantization_config\": quantized weights are not supported; use the original model");
        ReportRopeScaling(fields, "rope_scaling");
        ReportRopeScaling(fields, "rope_parameters");
    }

    private static void ReportRopeScaling(JsonFields fields, string name)
    {
        if (fields.Find(name) is not { } value) return;
        if (value.ValueKind != JsonValueKind.Object)
        {
            fields.Report($"\"{name}\" must be an object, found {JsonFields.Shorten(value)}");
            return;
        }

        var scaling = new JsonFields(value);
        var type = scaling.Text("rope_type") ?? scaling.Text("type") ?? "(none)";
        if (type != "default") fields.Report($"\"{name}\": RoPE scaling of type {type} is not supported");
    }

    // transformers 5 moved rope_theta into rope_parameters.
    private static double ReadRopeTheta(JsonFields fields) =>
        fields.Find("rope_theta") is null && fields.Find("rope_parameters") is { ValueKind: JsonValueKind.Object } parameters
            ? new JsonFields(parameters).PositiveNumber("rope_theta", DefaultRopeTheta)
            : fields.PositiveNumber("rope_theta", DefaultRopeTheta);

    private static Dtype ReadDtype(JsonFields fields)
    {
        if ((fields.Text("torch_dtype") ?? fields.Text("dtype")) is not { } name) return Dtype.F32;
        if (DtypeExtensions.TryParseTorch(name, out var dtype)) return dtype;
        fields.Report($"\"torch_dtype\": {name} is not supported; float32, float16 and bfloat16 are");
        return Dtype.F32;
    }

    private void ReportInconsistencies(JsonFields fields)
    {
        if (fields.Errors.Count > 0) return;
        if (HeadCount % KeyValueHeadCount != 0)
            fields.Report($"\"num_attention_heads\" {HeadCount} is not a multiple of \"num_key_value_heads\" {KeyValueHeadCount}");
        if (HeadDimension % 2 != 0) fields.Report($"\"head_dim\" {HeadDimension} is odd; RoPE rotates pairs");
        if (fields.Find("head_dim") is null && HiddenSize % HeadCount != 0)
            fields.Report(
                $"\"hidden_size\" {HiddenSize} is not a multiple of \"num_attention_heads\" {HeadCount}, and \"head_dim\" is missing");
        if (BosTokenId >= VocabularySize) fields.Report($"\"bos_token_id\" {BosTokenId} is not below \"vocab_size\" {VocabularySize}");
        foreach (var id in EosTokenIds.Where(id => id >= VocabularySize))
            fields.Report($"\"eos_token_id\" {id} is not below \"vocab_size\" {VocabularySize}");
    }
}
