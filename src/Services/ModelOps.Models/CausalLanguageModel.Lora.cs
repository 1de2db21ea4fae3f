using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;
using ModelOps.Models.Lora;
using static TorchSharp.torch;

namespace ModelOps.Models;

public sealed partial class CausalLanguageModel
{
    private LoraAdapter? adapter;
    private EmbeddingNoise? noise;

    /// <summary>Adds low-rank updates to the chosen projections; from then on only they are trained. They start as no change at all.</summary>
    /// <param name="seed">For the first values and for dropout.</param>
    /// <exception cref="ArgumentException">The options are out of range; names all that is wrong.</exception>
    /// <exception cref="InvalidOperationException">An adapter is attached already.</exception>
    public void AttachLora(LoraOptions options, int seed)
    {
        if (adapter is not null) throw new InvalidOperationException("an adapter is attached already: a model carries one");
        adapter = new LoraAdapter([.. layers.SelectMany(layer => layer.Projections)], Device, options, seed);
        foreach (var weight in weights.Values) weight.requires_grad = false;
    }

    /// <summary>From then on training sees embeddings with noise: NEFTune (Jain et al. 2023).</summary>
    /// <param name="alpha">Uniform noise in ±alpha / √(T · D) for rows of T tokens; 0: none.</param>
    public void AddEmbeddingNoise(double alpha, int seed)
    {
        noise?.Dispose();
        noise = alpha > 0 ? new EmbeddingNoise(alpha, seed) : null;
    }

    /// <summary>Makes dropout and noise a function of their seeds and <paramref name="step"/> alone: a run that is taken up again draws what it would have drawn.</summary>
    public void Reseed(int step)
    {
        adapter?.Randomness.Reseed(step);
        noise?.Randomness.Reseed(step);
    }

    /// <summary>Writes the attached adapter in PEFT layout, in fp32.</summary>
    /// <param name="baseModel">What adapter_config.json names as the base: a hub name or a path.</param>
    /// <exception cref="InvalidOperationException">No adapter is attached.</exception>
    public void SaveAdapter(string folder, string? baseModel = null, CancellationToken cancellationToken = default)
    {
        var saved = adapter ?? throw new InvalidOperationException("no adapter is attached");
        var config = new AdapterConfig
        {
            Rank = saved.Options.Rank,
            Alpha = saved.Options.Alpha,
            Dropout = saved.Options.Dropout,
            UseRankStabilizedScale = saved.Options.RankStabilized,
            IsDecomposed = saved.Options.Decomposed,
            TargetModules = [.. saved.Adapted.Select(projection => projection.Name).Distinct()],
            BaseModel = baseModel,
        };
        AdapterFolder.Write(
            folder, config, [.. saved.Adapted.SelectMany(Tensors).Select(named => TensorFiles.Source(named.Name, named.Tensor, Dtype.F32))], cancellationToken);
    }

    /// <summary>Attaches an adapter in PEFT layout, to go on training it or to compute with it.</summary>
    /// <param name="seed">For dropout.</param>
    /// <exception cref="InvalidModelFileException">The adapter does not fit this model.</exception>
    public void LoadAdapter(AdapterFolder folder, int seed = 0)
    {
        var projections = layers.SelectMany(layer => layer.Projections).ToDictionary(projection => projection.Module);
        var faults = folder.Modules.Values.Select(module => Fault(module, projections)).OfType<string>()
            .Concat(projections.Values.Where(projection => folder.Config.TargetModules.Contains(projection.Name) && !folder.Modules.ContainsKey(projection.Module))
                .Select(projection => $"module \"{projection.Module}\" is a target and has no matrices"))
            .ToList();
        if (faults.Count > 0) throw new InvalidModelFileException(folder.Path, faults);

        AttachLora(
            new LoraOptions
            {
                Rank = folder.Config.Rank,
                Alpha = folder.Config.Alpha,
                Dropout = folder.Config.Dropout,
                RankStabilized = folder.Config.UseRankStabilizedScale,
                Decomposed = folder.Config.IsDecomposed,
                TargetModules = string.Join(',', folder.Modules.Keys.Select(module => projections[module].Name).Distinct()),
            },
            seed);
        using var file = folder.OpenWeights();
        using var frozen = no_grad();
        foreach (var (name, tensor) in adapter!.Adapted.SelectMany(Tensors)) Copy(file.ReadFloats(name), tensor);
    }

    private static IEnumerable<(string Name, Tensor Tensor)> Tensors(Decoder.Projection projection)
    {
        var update = projection.Lora!;
        yield return (AdapterFolder.TensorNameA(projection.Module), update.A_RI);
        yield return (AdapterFolder.TensorNameB(projection.Module), update.B_OR);
        if (update.Magnitude_O is { } magnitude) yield return (AdapterFolder.TensorNameMagnitude(projection.Module), magnitude);
    }

    private static string? Fault(LoraModule module, Dictionary<string, Decoder.Projection> projections)
    {
        if (!projections.TryGetValue(module.Name, out var projection)) return $"the model has no module \"{module.Name}\"";
        var (outputs, inputs) = (projection.Weight.Outputs, projection.Weight.Inputs);
        return module.A.Shape[1] == inputs && module.B.Shape[0] == outputs
            ? null
            : $"module \"{module.Name}\" is [{outputs}, {inputs}] in the model; the adapter has A {module.A.Description} and B {module.B.Description}";
    }

    private static void Copy(float[] values, Tensor target)
    {
        using var scope = NewDisposeScope();
        target.copy_(tensor(values, target.shape));
    }
}
