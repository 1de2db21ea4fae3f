using System.Text.Json;
using ModelOps.ModelFiles.Safetensors;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.ModelFiles;

/// <summary>Where a weight lies: a file and the tensor in it.</summary>
public sealed record WeightLocation(string FilePath, TensorInfo Tensor);

/// <summary>A model in Hugging Face layout, checked when opened: configuration, tokenizer, and every weight with its shape.</summary>
public sealed class ModelFolder
{
    public const string TokenizerFile = TokenizerJson.FileName;
    public const string ChatTemplateFile = "chat_template.jinja";
    public const string GenerationConfigFile = "generation_config.json";
    public const string WeightsFile = "model.safetensors";
    public const string WeightsIndexFile = "model.safetensors.index.json";

    private static readonly string[] TokenizerFiles = [TokenizerFile, SentencePieceModel.FileName];
    private static readonly string[] WeightExtensions = [".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx"];

    private ModelFolder(
        string path,
        ModelConfig config,
        IReadOnlyDictionary<string, WeightLocation> weights,
        string? chatTemplate,
        IReadOnlyList<int> eosTokenIds)
    {
        Path = path;
        Config = config;
        Weights = weights;
        ChatTemplate = chatTemplate;
        EosTokenIds = eosTokenIds;
    }

    public string Path { get; }

    public ModelConfig Config { get; }

    /// <summary>By tensor name, over all shards.</summary>
    public IReadOnlyDictionary<string, WeightLocation> Weights { get; }

    /// <summary>tokenizer.json, or tokenizer.model where there is none.</summary>
    public string TokenizerPath => System.IO.Path.Combine(Path, TokenizerFiles.First(name => File.Exists(System.IO.Path.Combine(Path, name))));

    /// <summary>Jinja source from chat_template.jinja, else from tokenizer_config.json; null for a model without one.</summary>
    public string? ChatTemplate { get; }

    /// <summary>Tokens that end generation: of generation_config.json, else of config.json.</summary>
    public IReadOnlyList<int> EosTokenIds { get; }

    /// <exception cref="InvalidModelFileException">Names every file and tensor that is missing or wrong.</exception>
    public static ModelFolder Open(string path)
    {
        ThrowUnlessComplete(path);
        var config = ModelConfig.Load(System.IO.Path.Combine(path, ModelConfig.FileName));
        var weights = LocateWeights(path);
        CheckWeights(path, config, weights);
        return new ModelFolder(path, config, weights, ReadChatTemplate(path), ReadEosTokenIds(path, config));
    }

    /// <summary>Opens the weight files for reading.</summary>
    public ModelWeights OpenWeights() => new(Weights);

    /// <summary>Copies the model's top-level files that are not weights: configuration, tokenizer, template, licence.</summary>
    public void CopyOtherFiles(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(Path))
        {
            var name = System.IO.Path.GetFileName(file);
            if (name == WeightsIndexFile || WeightExtensions.Contains(System.IO.Path.GetExtension(name))) continue;
            File.Copy(file, System.IO.Path.Combine(folder, name));
        }
    }

    private static void ThrowUnlessComplete(string path)
    {
        if (!Directory.Exists(path)) throw new InvalidModelFileException(path, "this model folder does not exist");
        var errors = new List<string>();
        if (!File.Exists(System.IO.Path.Combine(path, ModelConfig.FileName))) errors.Add($"{ModelConfig.FileName} is missing");
        if (!TokenizerFiles.Any(name => File.Exists(System.IO.Path.Combine(path, name))))
            errors.Add($"{TokenizerFile} (or {SentencePieceModel.FileName}) is missing");
        if (!File.Exists(System.IO.Path.Combine(path, WeightsFile)) && !File.Exists(System.IO.Path.Combine(path, WeightsIndexFile)))
            errors.Add($"{WeightsFile} (or {WeightsIndexFile} with its shards) is missing");
        if (errors.Count > 0) throw new InvalidModelFileException(path, errors);
    }

    private static Dictionary<string, WeightLocation> LocateWeights(string path)
    {
        var single = System.IO.Path.Combine(path, WeightsFile);
        if (File.Exists(single))
        {
            using var file = SafetensorsFile.Open(single);
            return file.Tensors.ToDictionary(entry => entry.Key, entry => new WeightLocation(single, entry.Value));
        }

        var indexPath = System.IO.Path.Combine(path, WeightsIndexFile);
        var shardOf = JsonFile.Read(indexPath, root => ReadWeightMap(indexPath, root));
        var missing = shardOf.Values.Distinct().Where(shard => !File.Exists(System.IO.Path.Combine(path, shard))).ToArray();
        if (missing.Length > 0)
            throw new InvalidModelFileException(path, [.. missing.Select(shard => $"{shard} is missing ({WeightsIndexFile} names it)")]);
        return LocateInShards(path, shardOf);
    }

    private static Dictionary<string, WeightLocation> LocateInShards(string path, Dictionary<string, string> shardOf)
    {
        var errors = new List<string>();
        var weights = new Dictionary<string, WeightLocation>();
        foreach (var names in shardOf.GroupBy(entry => entry.Value, entry => entry.Key))
        {
            var shardPath = System.IO.Path.Combine(path, names.Key);
            using var shard = SafetensorsFile.Open(shardPath);
            foreach (var name in names)
            {
                if (shard.Tensors.TryGetValue(name, out var tensor)) weights[name] = new WeightLocation(shardPath, tensor);
                else errors.Add($"{names.Key} has no tensor \"{name}\" ({WeightsIndexFile} says it does)");
            }
        }

        return errors.Count == 0 ? weights : throw new InvalidModelFileException(path, errors);
    }

    private static Dictionary<string, string> ReadWeightMap(string path, JsonElement root)
    {
        if (!root.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
            throw new InvalidModelFileException(path, "\"weight_map\" must be an object of tensor names and file names");
        var shardOf = new Dictionary<string, string>();
        var errors = new List<string>();
        foreach (var entry in map.EnumerateObject())
        {
            // A bare file name only: an index must not reach outside its folder.
            if (entry.Value.ValueKind == JsonValueKind.String && entry.Value.GetString() is { Length: > 0 } shard
                && shard == System.IO.Path.GetFileName(shard)
                && shard is not ("." or "..")
                && !shard.Contains('\0', StringComparison.Ordinal))
                shardOf[entry.Name] = shard;
            else errors.Add($"\"weight_map\": \"{entry.Name}\" must name a file of this folder, found {JsonFields.Shorten(entry.Value)}");
        }

        return errors.Count == 0 ? shardOf : throw new InvalidModelFileException(path, errors);
    }

    private static void CheckWeights(string path, ModelConfig config, Dictionary<string, WeightLocation> weights)
    {
        var errors = new List<string>();
        var expected = DecoderTensors.Of(config).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        foreach (var (name, shape) in expected)
        {
            if (!weights.TryGetValue(name, out var weight))
                errors.Add($"tensor \"{name}\" is missing");
            else if (!weight.Tensor.Shape.AsSpan().SequenceEqual(shape))
                errors.Add($"tensor \"{name}\": [{string.Join(", ", shape)}] is expected by {ModelConfig.FileName}, "
                    + $"found [{string.Join(", ", weight.Tensor.Shape)}]");
            else if (!FloatBytes.Supports(weight.Tensor.Dtype))
                errors.Add($"tensor \"{name}\" is {weight.Tensor.Dtype.Name()}; F32, F16 and BF16 are supported");
        }

        foreach (var name in weights.Keys.Where(name => !expected.ContainsKey(name) && !DecoderTensors.IsRedundant(config, name)))
            errors.Add($"tensor \"{name}\" is not part of {config.Family.Architecture} with this {ModelConfig.FileName}");
        if (errors.Count > 0) throw new InvalidModelFileException(path, errors);
    }

    private static string? ReadChatTemplate(string path)
    {
        try
        {
            return TokenizerConfig.Load(path).ChatTemplate;
        }
        catch (InvalidDataException exception)
        {
            throw new InvalidModelFileException(path, exception.Message, exception);
        }
    }

    private static IReadOnlyList<int> ReadEosTokenIds(string path, ModelConfig config)
    {
        var generationConfig = System.IO.Path.Combine(path, GenerationConfigFile);
        if (!File.Exists(generationConfig)) return config.EosTokenIds;
        return JsonFile.Read(generationConfig, root =>
        {
            var fields = new JsonFields(root);
            var ids = fields.TokenIds("eos_token_id");
            foreach (var id in ids.Where(id => id >= config.VocabularySize))
                fields.Report($"\"eos_token_id\" {id} is not below the vocabulary size {config.VocabularySize}");
            fields.ThrowIfAny(generationConfig);
            return ids is [] ? config.EosTokenIds : ids;
        });
    }
}
