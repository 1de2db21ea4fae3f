using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Peft;
using ModelOps.Models.Lora;
using static TorchSharp.torch;

namespace ModelOps.Models;

public sealed partial class CausalLanguageModel
{
    private LoraAdapter? adapter;

    /// <summary>Adds low-rank updates to the chosen projections; from then on only they are trained. They start as no change at all.</summary>
    /// <param name="seed">For the first values and for dropout.</param>
    /// <exception cref="ArgumentException">The options are out of range; names all that is wrong.</exception>
    /// <exception cref="InvalidOperationException">An adapter is attached already.</exception>
    public void AttachLora(LoraOptions options, int seed)
    {
        if (adapter is not null) throw new InvalidOperationException("an adapter is attached already: a model carries one");
        adapter = new LoraAdapter([.. layers.SelectMany(layer => layer.Projections)], options, seed);
        foreach (var weight in weights.Values) weight.requires_grad = false;
    }

    /// <summary>Makes dropout a function of the adapter's seed and <paramref name="step"/> alone: a run that is taken up again drops what it would have dropped.</summary>
    public void Reseed(int step) => adapter?.Reseed(step);

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
            TargetModules = [.. saved.Adapted.Select(projection => projection.Name).Distinct()],
            BaseModel = baseModel,
        };
        var tensors = saved.Adapted.SelectMany(projection => new[]
        {
            TensorFiles.Source(AdapterFolder.TensorNameA(projection.Module), projection.Lora!.A_RI, Dtype.F32),
            TensorFiles.Source(AdapterFolder.TensorNameB(projection.Module), projection.Lora!.B_OR, Dtype.F32),
        });
        AdapterFolder.Write(folder, config, [.. tensors], cancellationToken);
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
                Alpha = folder.Config.Scale * folder.Config.Rank, // rank-stabilized scale as the plain one that equals it
                Dropout = folder.Config.Dropout,
                TargetModules = string.Join(',', folder.Modules.Keys.Select(module => projections[module].Name).Distinct()),
            },
            seed);
        using var file = folder.OpenWeights();
        using var frozen = no_grad();
        foreach (var projection in adapter!.Adapted)
        {
            Copy(file.ReadFloats(AdapterFolder.TensorNameA(projection.Module)), projection.Lora!.A_RI);
            Copy(file.ReadFloats(AdapterFolder.TensorNameB(projection.Module)), projection.Lora!.B_OR);
        }
    }

    private static string? Fault(LoraModule module, Dictionary<string, Decoder.Projection> projections)
    {
        if (!projections.TryGetValue(module.Name, out var projection)) return $"the model has no module \"{module.Name}\"";
        var (outputs, inputs) = (projection.Weight_OI.shape[0], projection.Weight_OI.shape[1]);
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
