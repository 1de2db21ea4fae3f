using System.Runtime.InteropServices;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Safetensors;
using ModelOps.Models.Weights;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Models;

/// <summary>What the weights of a loaded model are for.</summary>
public enum WeightUse
{
    /// <summary>Fp32, and never changed: an adapter is what training changes.</summary>
    Frozen,

    /// <summary>The same, the projections' in NF4 (Dettmers et al. 2023): about an eighth of the memory.</summary>
    FourBit,

    /// <summary>Fp32, each of them changed by training.</summary>
    Trained,
}

public sealed partial class CausalLanguageModel
{
    private const double InitialDeviation = 0.02;

    /// <summary>Reads the weights, widened to fp32.</summary>
    /// <value>The default device is the CPU; by default the weights are frozen.</value>
    /// <exception cref="ArgumentException">Four bits are wanted, and a matrix does not divide into blocks of 64 weights.</exception>
    public static CausalLanguageModel Load(ModelFolder folder, Device? device = null, WeightUse use = WeightUse.Frozen)
    {
        TorchNatives.Load();
        using var scope = NewDisposeScope();
        using var files = folder.OpenWeights();
        Dictionary<string, Tensor> kept = [];
        Dictionary<string, LinearWeight> linear = [];
        var modules = DecoderTensors.AllLinearModules(folder.Config).Select(module => $"{module}.weight").ToHashSet();
        foreach (var (name, shape) in DecoderTensors.Of(folder.Config))
        {
            var weight = Read(files, name, shape).to(device ?? CPU);
            if (use == WeightUse.FourBit && modules.Contains(name))
            {
                linear[name] = new Nf4Weight(weight);
                weight.Dispose(); // at once: the whole model never stands there in fp32
                continue;
            }
            kept[name] = AsUsed(weight, use);
            if (modules.Contains(name)) linear[name] = new DenseWeight(kept[name]);
        }
        foreach (var weight in kept.Values) weight.DetachFromDisposeScope();
        return new(folder.Config, kept, linear);
    }

    /// <summary>A model to pretrain: normal weights of deviation 0.02, those that write to the residual stream smaller by √(2 · layers), norms that change nothing, biases 0.</summary>
    /// <param name="seed">The same seed gives the same weights.</param>
    public static CausalLanguageModel Initialize(ModelConfig config, int seed, Device? device = null)
    {
        TorchNatives.Load();
        using var scope = NewDisposeScope();
        using var randomness = new Generator((ulong)seed);
        var drawn = DecoderTensors.Of(config).ToDictionary(
            weight => weight.Name,
            weight => (Tensor)new Parameter(Draw(weight.Name, weight.Shape, config, randomness).to(device ?? CPU)));
        foreach (var weight in drawn.Values) weight.DetachFromDisposeScope();
        var linear = DecoderTensors.AllLinearModules(config).Select(module => $"{module}.weight").ToDictionary(name => name, name => (LinearWeight)new DenseWeight(drawn[name]));
        return new(config, drawn, linear);
    }

    /// <summary>Writes the base weights, without an adapter, as one safetensors file of the configuration's dtype.</summary>
    /// <exception cref="InvalidOperationException">They are kept in four bits.</exception>
    public void SaveWeights(string path, CancellationToken cancellationToken = default)
    {
        if (matrices.Keys.Any(name => !weights.ContainsKey(name))) throw new InvalidOperationException("weights that are kept in four bits are no longer what they were");
        SafetensorsWriter.Write(
            path,
            weights.Select(weight => TensorFiles.Source(weight.Key, weight.Value, Config.Dtype)),
            new Dictionary<string, string> { ["format"] = "pt" },
            cancellationToken);
    }

    /// <summary>Writes a model folder: these weights, and the other files of the model that they came from.</summary>
    /// <param name="folder">Must not exist, or be empty.</param>
    public void SaveModel(string folder, ModelFolder source, CancellationToken cancellationToken = default)
    {
        Directory.CreateDirectory(folder);
        source.CopyOtherFiles(folder);
        SaveWeights(Path.Combine(folder, ModelFolder.WeightsFile), cancellationToken);
    }

    /// <summary>Mapped from the file where it lies there as fp32 and aligned: nothing is read before it is used. A change stays in memory.</summary>
    private static Tensor Read(ModelWeights files, string name, long[] shape)
    {
        var (path, stored) = files[name];
        if (stored.Dtype == Dtype.F32 && stored.Offset % sizeof(float) == 0)
        {
            var start = stored.Offset / sizeof(float);
            return from_file(path, shared: false, size: start + stored.ElementCount, dtype: ScalarType.Float32).narrow(0, start, stored.ElementCount).view(shape);
        }
        var weight = empty(shape, dtype: ScalarType.Float32);
        files.ReadFloats(name, 0, MemoryMarshal.Cast<byte, float>(weight.bytes));
        return weight;
    }

    private static Tensor AsUsed(Tensor weight, WeightUse use) => use == WeightUse.Trained ? new Parameter(weight) : weight;

    private static Tensor Draw(string name, long[] shape, ModelConfig config, Generator randomness)
    {
        if (DecoderTensors.IsNorm(name)) return config.Family.OffsetNorms ? zeros(shape) : ones(shape);
        if (shape.Length == 1) return zeros(shape); // a bias
        var writesResidual = name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal);
        var deviation = writesResidual ? InitialDeviation / Math.Sqrt(2 * config.LayerCount) : InitialDeviation;
        using Scalar factor = deviation;
        return randn(shape, generator: randomness).mul_(factor);
    }
}
