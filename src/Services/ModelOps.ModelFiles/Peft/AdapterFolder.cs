using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.ModelFiles.Peft;

/// <summary>What adapts one linear module of shape [output, input].</summary>
/// <param name="Name">The module in the base model, e.g. <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="A">[rank, input].</param>
/// <param name="B">[output, rank].</param>
/// <param name="Magnitude">[output]: lengths of the adapted weight's rows; null unless the adapter is decomposed.</param>
public sealed record LoraModule(string Name, TensorInfo A, TensorInfo B, TensorInfo? Magnitude);

/// <summary>A LoRA adapter in PEFT layout.</summary>
public sealed class AdapterFolder
{
    public const string WeightsFile = "adapter_model.safetensors";

    private const string Prefix = "base_model.model.";
    private const string SuffixA = ".lora_A.weight";
    private const string SuffixB = ".lora_B.weight";
    private const string SuffixMagnitude = ".lora_magnitude_vector";

    private AdapterFolder(string path, AdapterConfig config, IReadOnlyDictionary<string, LoraModule> modules)
    {
        Path = path;
        Config = config;
        Modules = modules;
    }

    public string Path { get; }

    public AdapterConfig Config { get; }

    /// <summary>By the name of the module in the base model.</summary>
    public IReadOnlyDictionary<string, LoraModule> Modules { get; }

    /// <summary>The name of A for a module of the base model, e.g.
    /// <c>base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight</c>.</summary>
    public static string TensorNameA(string module) => Prefix + module + SuffixA;

    public static string TensorNameB(string module) => Prefix + module + SuffixB;

    public static string TensorNameMagnitude(string module) => Prefix + module + SuffixMagnitude;

    /// <exception cref="InvalidModelFileException">Names every file and tensor that is missing or wrong.</exception>
    public static AdapterFolder Open(string path)
    {
        if (!Directory.Exists(path)) throw new InvalidModelFileException(path, "this adapter folder does not exist");
        string[] needed = [AdapterConfig.FileName, WeightsFile];
        var missing = needed.Where(name => !File.Exists(System.IO.Path.Combine(path, name))).ToArray();
        if (missing.Length > 0) throw new InvalidModelFileException(path, [.. missing.Select(name => $"{name} is missing")]);

        var config = AdapterConfig.Load(System.IO.Path.Combine(path, AdapterConfig.FileName));
        using var file = SafetensorsFile.Open(System.IO.Path.Combine(path, WeightsFile));
        return new AdapterFolder(path, config, PairModules(file.Path, config, file.Tensors));
    }

    /// <summary>Writes the weights, then the configuration: a folder with a configuration is complete.</summary>
    /// <param name="tensors">Named by <see cref="TensorNameA"/> and <see cref="TensorNameB"/>.</param>
    /// <exception cref="InvalidModelFileException">The tensors are not pairs that fit the configuration.</exception>
    public static void Write(
        string path, AdapterConfig config, IReadOnlyCollection<TensorSource> tensors, CancellationToken cancellationToken = default)
    {
        var weightsPath = System.IO.Path.Combine(path, WeightsFile);
        PairModules(
            weightsPath, config,
            tensors.ToDictionary(tensor => tensor.Name, tensor => new TensorInfo(tensor.Name, tensor.Dtype, tensor.Shape, 0, 0)));
        SafetensorsWriter.Write(weightsPath, tensors, new Dictionary<string, string> { ["format"] = "pt" }, cancellationToken);
        config.Save(System.IO.Path.Combine(path, AdapterConfig.FileName));
    }

    /// <summary>Opens the weights for reading.</summary>
    public SafetensorsFile OpenWeights() => SafetensorsFile.Open(System.IO.Path.Combine(Path, WeightsFile));

    /// <exception cref="InvalidModelFileException">Names every module that the base lacks or has in another shape.</exception>
    public void ThrowUnlessFits(ModelFolder baseModel)
    {
        var errors = new List<string>();
        var linearModules = DecoderTensors.AllLinearModules(baseModel.Config).ToHashSet();
        foreach (var module in Modules.Values)
        {
            if (!linearModules.Contains(module.Name))
                errors.Add($"module \"{module.Name}\" is not a linear module of {baseModel.Path}");
            else if (baseModel.Weights[$"{module.Name}.weight"].Tensor is var weight
                && (module.B.Shape[0] != weight.Shape[0] || module.A.Shape[1] != weight.Shape[1]))
                errors.Add($"module \"{module.Name}\": B A is [{module.B.Shape[0]}, {module.A.Shape[1]}], "
                    + $"the weight of {baseModel.Path} is {weight.Description}");
        }

        if (errors.Count > 0) throw new InvalidModelFileException(Path, errors);
    }

    private static Dictionary<string, LoraModule> PairModules(
        string path, AdapterConfig config, IReadOnlyDictionary<string, TensorInfo> tensors)
    {
        var errors = new List<string>();
        var modules = new Dictionary<string, LoraModule>();
        foreach (var tensor in tensors.Values)
        {
            if (!FloatBytes.Supports(tensor.Dtype))
                errors.Add($"tensor \"{tensor.Name}\" is {tensor.Dtype.Name()}; F32, F16 and BF16 are supported");
            if (ModuleOf(tensor.Name) is not { } module)
            {
                errors.Add($"tensor \"{tensor.Name}\" is not of a LoRA adapter ({Prefix}MODULE{SuffixA}, {SuffixB} or {SuffixMagnitude})");
                continue;
            }

            var a = tensors.GetValueOrDefault(TensorNameA(module));
            var b = tensors.GetValueOrDefault(TensorNameB(module));
            var magnitude = tensors.GetValueOrDefault(TensorNameMagnitude(module));
            if (a is null || b is null) errors.Add($"module \"{module}\" has no {(a is null ? "lora_A" : "lora_B")}");
            else if (a.Shape is not [var rankOfA, _] || b.Shape is not [_, var rankOfB] || rankOfA != config.Rank || rankOfB != config.Rank)
                errors.Add($"module \"{module}\": rank {config.Rank} is expected, found A {a.Description} and B {b.Description}");
            else if (magnitude is not null != config.IsDecomposed)
                errors.Add($"module \"{module}\" {(config.IsDecomposed ? "has no lora_magnitude_vector, which use_dora needs" : "has a lora_magnitude_vector, and use_dora is false")}");
            else if (magnitude is not null && (magnitude.Shape is not [var rows] || rows != b.Shape[0]))
                errors.Add($"module \"{module}\": B {b.Description} does not go with the lora_magnitude_vector {magnitude.Description}");
            else modules[module] = new LoraModule(module, a, b, magnitude);
        }

        if (tensors.Count == 0) errors.Add("there are no tensors");
        return errors.Count == 0 ? modules : throw new InvalidModelFileException(path, [.. errors.Distinct()]);
    }

    private static string? ModuleOf(string tensorName)
    {
        if (!tensorName.StartsWith(Prefix, StringComparison.Ordinal)) return null;
        foreach (var suffix in (string[])[SuffixA, SuffixB, SuffixMagnitude])
        {
            if (tensorName.EndsWith(suffix, StringComparison.Ordinal) && tensorName.Length > Prefix.Length + suffix.Length)
                return tensorName[Prefix.Length..^suffix.Length];
        }

        return null;
    }
}
