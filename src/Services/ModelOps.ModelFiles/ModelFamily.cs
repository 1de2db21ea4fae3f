namespace ModelOps.ModelFiles;

/// <summary>What distinguishes the decoders of one architecture from Llama's: the switches of the one decoder that computes them all.</summary>
public sealed record ModelFamily
{
    private const string Gelu = "gelu_pytorch_tanh";

    private ModelFamily()
    {
    }

    /// <summary>Llama 2 and 3, SmolLM2, and every other model that is published under Llama's name.</summary>
    public static ModelFamily Llama { get; } = new()
    {
        Architecture = "LlamaForCausalLM",
        ModelType = "llama",
        GgufArchitecture = "llama",
        PairsNeighbours = true,
    };

    public static ModelFamily Mistral { get; } = new()
    {
        Architecture = "MistralForCausalLM",
        ModelType = "mistral",
        GgufArchitecture = "llama",
        PairsNeighbours = true,
    };

    /// <summary>Qwen 2 and 2.5.</summary>
    public static ModelFamily Qwen2 { get; } = new()
    {
        Architecture = "Qwen2ForCausalLM",
        ModelType = "qwen2",
        GgufArchitecture = "qwen2",
        AttentionBias = true,
    };

    public static ModelFamily Qwen3 { get; } = new()
    {
        Architecture = "Qwen3ForCausalLM",
        ModelType = "qwen3",
        GgufArchitecture = "qwen3",
        QueryKeyNorm = true,
    };

    public static ModelFamily Gemma2 { get; } = new()
    {
        Architecture = "Gemma2ForCausalLM",
        ModelType = "gemma2",
        GgufArchitecture = "gemma2",
        ScaledEmbedding = true,
        OffsetNorms = true,
        NormsAfter = true,
        Activation = Gelu,
    };

    public static ModelFamily Gemma3 { get; } = new()
    {
        Architecture = "Gemma3ForCausalLM",
        ModelType = "gemma3_text",
        GgufArchitecture = "gemma3",
        ScaledEmbedding = true,
        OffsetNorms = true,
        NormsAfter = true,
        QueryKeyNorm = true,
        Activation = Gelu,
    };

    public static IReadOnlyList<ModelFamily> All { get; } = [Llama, Mistral, Qwen2, Qwen3, Gemma2, Gemma3];

    /// <summary>What config.json's <c>architectures</c> says.</summary>
    public required string Architecture { get; init; }

    /// <summary>What config.json's <c>model_type</c> says.</summary>
    public required string ModelType { get; init; }

    /// <summary>What GGUF's <c>general.architecture</c> says.</summary>
    public required string GgufArchitecture { get; init; }

    /// <summary>Queries, keys and values are W x + b.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Each head of queries and keys is normalized before it is rotated.</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>Embeddings are multiplied by √(hidden size).</summary>
    public bool ScaledEmbedding { get; init; }

    /// <summary>A norm multiplies by 1 + w, not by w.</summary>
    public bool OffsetNorms { get; init; }

    /// <summary>What attention and feed-forward add to the residual stream is normalized too.</summary>
    public bool NormsAfter { get; init; }

    /// <summary>The activation of the feed-forward part: SiLU, or GELU by its tanh approximation.</summary>
    public bool IsGelu => Activation == Gelu;

    /// <summary>What config.json's <c>hidden_act</c> says.</summary>
    internal string Activation { get; private init; } = "silu";

    /// <summary>llama.cpp rotates the elements 2i and 2i + 1 of a head where Hugging Face rotates i and i + d/2.</summary>
    internal bool PairsNeighbours { get; private init; }
}
