using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Safetensors;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests;

/// <summary>Small random models in Hugging Face layout: real in every file, made in milliseconds, the same for the same seed.</summary>
internal static class TestModels
{
    public const string ChatMl =
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
        + "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
        + "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    private const string TrainingText =
        "The quick brown fox jumps over the lazy dog. What does the word mean? It means that there is a thing in the world, "
        + "and that people have a name for it. In 1984 and 2026 the answer was the same: 42 apples, 3 pears and no more. "
        + "They're here, we've seen them; I'll go on. Señor Müller naïvely ordered a café au lait. 日本語のテキスト。\n\n"
        + "    indented lines\n\tand tabs\n";

    /// <summary>Grouped-query attention, a head dimension that is not hidden size / heads, more embedding rows than tokens.</summary>
    public static ModelConfig TinyConfig { get; } = new()
    {
        HiddenSize = 64,
        IntermediateSize = 96,
        LayerCount = 2,
        HeadCount = 4,
        KeyValueHeadCount = 2,
        HeadDimension = 32,
        VocabularySize = 384,
        MaxPositions = 512,
        RmsNormEpsilon = 1e-5,
        RopeTheta = 10_000,
        TieWordEmbeddings = true,
        BosTokenId = 0,
        EosTokenIds = [2],
        Dtype = Dtype.F32,
    };

    /// <summary>Writes a whole model folder: configuration, random weights, a byte-level tokenizer trained on a little text, a ChatML
    /// template.</summary>
    /// <param name="config"><see cref="TinyConfig"/> by default. Its dtype is the weights'.</param>
    /// <param name="shards">More than one makes an index and that many files.</param>
    public static ModelFolder Write(
        string folder, ModelConfig? config = null, int seed = 1, int shards = 1, IReadOnlyList<PreTokenizerStep>? preTokenizer = null)
    {
        config ??= TinyConfig;
        Directory.CreateDirectory(folder);
        config.Save(Path.Combine(folder, ModelConfig.FileName));
        WriteTokenizer(folder, config, preTokenizer);
        WriteWeights(folder, [.. RandomWeights(config, seed)], shards);
        return ModelFolder.Open(folder);
    }

    /// <summary>Writes an adapter with random A and B on every linear module of every layer.</summary>
    public static AdapterFolder WriteAdapter(
        string folder, ModelConfig config, int rank = 4, double alpha = 8, int seed = 2, bool rankStabilized = false)
    {
        var random = new Random(seed);
        var tensors = new List<TensorSource>();
        var shapes = DecoderTensors.Of(config).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        foreach (var module in DecoderTensors.AllLinearModules(config))
        {
            var shape = shapes[$"{module}.weight"];
            tensors.Add(RandomTensor(random, AdapterFolder.TensorNameA(module), [rank, shape[1]], 0.1, Dtype.F32));
            tensors.Add(RandomTensor(random, AdapterFolder.TensorNameB(module), [shape[0], rank], 0.1, Dtype.F32));
        }

        string[] targets = [.. DecoderTensors.LinearModules.Select(module => module[(module.IndexOf('.', StringComparison.Ordinal) + 1)..])];
        AdapterFolder.Write(folder, new AdapterConfig { Rank = rank, Alpha = alpha, TargetModules = targets, UseRankStabilizedScale = rankStabilized }, tensors);
        return AdapterFolder.Open(folder);
    }

    private static void WriteTokenizer(string folder, ModelConfig config, IReadOnlyList<PreTokenizerStep>? preTokenizer)
    {
        var options = new BpeTrainerOptions
        {
            VocabularySize = Math.Min(config.VocabularySize - 8, 360),
            SpecialTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            Config = new TokenizerConfig
            {
                BosToken = "<|endoftext|>",
                EosToken = "<|im_end|>",
                PadToken = "<|endoftext|>",
                ChatTemplate = ChatMl,
            },
        };
        if (preTokenizer is not null) options = options with { PreTokenizer = preTokenizer };
        BpeTrainer.Train([TrainingText], options).Save(folder);
    }

    private static IEnumerable<TensorSource> RandomWeights(ModelConfig config, int seed)
    {
        var random = new Random(seed);
        foreach (var (name, shape) in DecoderTensors.Of(config))
        {
            var deviation = shape.Length == 1 ? 0.1 : 1 / Math.Sqrt(shape[^1]);
            var mean = DecoderTensors.IsNorm(name) && !config.Family.OffsetNorms ? 1 : 0;
            yield return RandomTensor(random, name, shape, deviation, config.Dtype, mean);
        }
    }

    private static TensorSource RandomTensor(Random random, string name, long[] shape, double deviation, Dtype dtype, double mean = 0)
    {
        var values = new float[shape.Aggregate(1L, (product, dimension) => product * dimension)];
        for (var i = 0; i < values.Length; i++) values[i] = (float)(mean + (deviation * NextGaussian(random)));
        return TensorSource.FromFloats(name, shape, values, dtype);
    }

    private static double NextGaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static void WriteWeights(string folder, TensorSource[] tensors, int shards)
    {
        if (shards == 1)
        {
            SafetensorsWriter.Write(
                Path.Combine(folder, ModelFolder.WeightsFile), tensors, new Dictionary<string, string> { ["format"] = "pt" });
            return;
        }

        var shardOf = new Dictionary<string, string>();
        foreach (var (index, shard) in tensors.Chunk((tensors.Length + shards - 1) / shards).Index())
        {
            var name = $"model-{index + 1:D5}-of-{shards:D5}.safetensors";
            SafetensorsWriter.Write(Path.Combine(folder, name), shard);
            foreach (var tensor in shard) shardOf[tensor.Name] = name;
        }

        File.WriteAllText(
            Path.Combine(folder, ModelFolder.WeightsIndexFile), JsonSerializer.Serialize(new { metadata = new { }, weight_map = shardOf }));
    }
}
