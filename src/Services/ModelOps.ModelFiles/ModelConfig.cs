namespace ModelOps.ModelFiles;

/// <summary>The shape of a decoder of a supported family, as config.json gives it.</summary>
public sealed record ModelConfig
{
    public const string FileName = "config.json";

    internal const double DefaultRopeTheta = 10_000;

    public ModelFamily Family { get; init; } = ModelFamily.Llama;

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

    /// <summary>Null: frequencies as they are. Layers with a window of a family that gives them a theta of their own are never scaled.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary><c>rope_local_base_freq</c>: the theta of layers with a window; null: the same as the others' (all but Gemma 3).</summary>
    public double? LocalRopeTheta { get; init; }

    /// <summary><c>sliding_window</c>: how many positions a layer of <see cref="LocalLayers"/> sees, its own included.</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>Layers that see no further back than <see cref="SlidingWindow"/>.</summary>
    public IReadOnlyList<int> LocalLayers { get; init; } = [];

    /// <summary><c>query_pre_attn_scalar</c>: attention scores are divided by its root; null: the head dimension.</summary>
    public double? QueryScalar { get; init; }

    /// <summary><c>attn_logit_softcapping</c>: attention scores become c · tanh(score / c) (Gemma 2).</summary>
    public double? AttentionSoftCap { get; init; }

    /// <summary><c>final_logit_softcapping</c>: the same for logits.</summary>
    public double? FinalSoftCap { get; init; }

    /// <summary>Whether the embedding also serves as the output projection.</summary>
    public bool TieWordEmbeddings { get; init; }

    public int? BosTokenId { get; init; }

    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary><c>torch_dtype</c> (<c>dtype</c> in newer files): F32, F16 or BF16.</summary>
    public Dtype Dtype { get; init; } = Dtype.F32;

    /// <summary>Reads a config.json.</summary>
    /// <exception cref="InvalidModelFileException">Names every field that is missing, wrong or asks for something unsupported.</exception>
    public static ModelConfig Load(string path) => JsonFile.Read(path, root => ModelConfigReader.Read(path, new JsonFields(root)));

    /// <summary>Writes a config.json that Hugging Face's transformers reads.</summary>
    public void Save(string path) => JsonFile.Write(path, json => ModelConfigWriter.Write(json, this));

    /// <summary>The same, in memory.</summary>
    public byte[] ToUtf8Bytes()
    {
        using var stream = new MemoryStream();
        JsonFile.Write(stream, json => ModelConfigWriter.Write(json, this));
        return stream.ToArray();
    }
}
