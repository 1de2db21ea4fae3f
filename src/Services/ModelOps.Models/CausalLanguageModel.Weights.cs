using System.Runtime.InteropServices;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Safetensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Models;

public sealed partial class CausalLanguageModel
{
    private const double InitialDeviation = 0.02;

    /// <summary>Reads the weights, widened to fp32. They are frozen: an adapter is what training changes.</summary>
    /// <value>The default device is the CPU.</value>
    public static CausalLanguageModel Load(ModelFolder folder, Device? device = null)
    {
        TorchNatives.Load();
        using var scope = NewDisposeScope();
        using var files = folder.OpenWeights();
        var loaded = DecoderTensors.Of(folder.Config).ToDictionary(
            weight => weight.Name,
            weight => Read(files, weight.Name, weight.Shape).to(device ?? CPU));
        foreach (var weight in loaded.Values) weight.DetachFromDisposeScope();
        return new(folder.Config, loaded);
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
        return new(config, drawn);
    }

    /// <summary>Writes the base weights, without an adapter, as one safetensors file of the configuration's dtype.</summary>
    public void SaveWeights(string path, CancellationToken cancellationToken = default) => SafetensorsWriter.Write(
        path,
        weights.Select(weight => TensorFiles.Source(weight.Key, weight.Value, Config.Dtype)),
        new Dictionary<string, string> { ["format"] = "pt" },
        cancellationToken);

    private static Tensor Read(ModelWeights files, string name, long[] shape)
    {
        var weight = empty(shape, dtype: ScalarType.Float32);
        files.ReadFloats(name, 0, MemoryMarshal.Cast<byte, float>(weight.bytes));
        return weight;
    }

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
