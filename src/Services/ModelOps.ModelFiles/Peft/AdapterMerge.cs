using System.Numerics;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.ModelFiles.Peft;

/// <summary>Folds a LoRA adapter into its base model: W + scale * B A, its rows brought to the trained lengths if it is decomposed, computed in fp32.</summary>
public static class AdapterMerge
{
    private const int ChunkElements = 1 << 20;

    /// <summary>Writes a model folder with merged weights in one file and the base's other top-level files. The folder appears when
    /// complete.</summary>
    /// <param name="outputFolder">Must not exist, or be empty.</param>
    /// <param name="dtype">F32, F16 or BF16, for every weight.</param>
    /// <exception cref="InvalidModelFileException">The adapter does not fit the base; every module that does not is named.</exception>
    public static ModelFolder Merge(
        ModelFolder baseModel,
        AdapterFolder adapter,
        string outputFolder,
        Dtype dtype = Dtype.F32,
        CancellationToken cancellationToken = default)
    {
        adapter.ThrowUnlessFits(baseModel);
        AtomicOutput.WriteFolder(outputFolder, folder =>
        {
            using var weights = baseModel.OpenWeights();
            using var deltas = adapter.OpenWeights();
            var tensors = DecoderTensors.Of(baseModel.Config).Select(tensor => new TensorSource(
                tensor.Name,
                dtype,
                tensor.Shape,
                stream => WriteMerged(stream, weights, deltas, adapter, tensor.Name, dtype, cancellationToken)));
            SafetensorsWriter.Write(
                Path.Combine(folder, ModelFolder.WeightsFile),
                tensors,
                new Dictionary<string, string> { ["format"] = "pt" },
                cancellationToken);
            baseModel.CopyOtherFiles(folder);
            WriteConfig(baseModel.Path, folder, dtype);
        });
        return ModelFolder.Open(outputFolder);
    }

    // Row blocks bound the memory: a whole weight of a large model never stands in memory.
    private static void WriteMerged(
        Stream stream,
        ModelWeights weights,
        SafetensorsFile deltas,
        AdapterFolder adapter,
        string name,
        Dtype dtype,
        CancellationToken cancellationToken)
    {
        var shape = weights[name].Tensor.Shape;
        var columns = (int)shape[^1];
        var rows = shape.Length == 1 ? 1 : shape[0];
        var module = adapter.Modules.GetValueOrDefault(name[..^".weight".Length]);
        var a = module is null ? [] : deltas.ReadFloats(module.A.Name);
        var b = module is null ? [] : deltas.ReadFloats(module.B.Name);
        var lengths = module?.Magnitude is { } magnitude ? deltas.ReadFloats(magnitude.Name) : [];
        var block = new float[Math.Min(rows, Math.Max(1, ChunkElements / columns)) * columns];
        for (long row = 0; row < rows; row += block.Length / columns)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var count = (int)Math.Min(block.Length / columns, rows - row);
            var values = block.AsSpan(0, count * columns);
            weights.ReadFloats(name, row * columns, values);
            if (module is not null) AddProduct(values, columns, b.AsSpan((int)(row * adapter.Config.Rank)), a, adapter.Config);
            if (lengths.Length > 0) Stretch(values, columns, lengths.AsSpan((int)row));
            TensorSource.WriteFloats(stream, values, dtype);
        }
    }

    private static void Stretch(Span<float> rows, int columns, ReadOnlySpan<float> lengths)
    {
        for (var row = 0; row < rows.Length / columns; row++)
        {
            var values = rows.Slice(row * columns, columns);
            var square = 0.0;
            foreach (var value in values) square += (double)value * value;
            var factor = square == 0 ? 0 : (float)(lengths[row] / Math.Sqrt(square));
            for (var i = 0; i < values.Length; i++) values[i] *= factor;
        }
    }

    private static void AddProduct(Span<float> rows, int columns, ReadOnlySpan<float> b, ReadOnlySpan<float> a, AdapterConfig config)
    {
        var scale = (float)config.Scale;
        for (var row = 0; row < rows.Length / columns; row++)
        {
            var target = rows.Slice(row * columns, columns);
            for (var k = 0; k < config.Rank; k++) AddScaled(target, a.Slice(k * columns, columns), scale * b[(row * config.Rank) + k]);
        }
    }

    private static void AddScaled(Span<float> target, ReadOnlySpan<float> source, float factor)
    {
        var targets = MemoryMarshal.Cast<float, Vector<float>>(target);
        var sources = MemoryMarshal.Cast<float, Vector<float>>(source);
        for (var i = 0; i < targets.Length; i++) targets[i] += sources[i] * factor;
        for (var i = targets.Length * Vector<float>.Count; i < target.Length; i++) target[i] += source[i] * factor;
    }

    // The base's own file with only the dtype changed: fields that ModelOps does not read are kept.
    private static void WriteConfig(string source, string target, Dtype dtype)
    {
        var config = JsonNode.Parse(File.ReadAllBytes(Path.Combine(source, ModelConfig.FileName)))!.AsObject();
        config[config.ContainsKey("dtype") ? "dtype" : "torch_dtype"] = dtype.TorchName();
        JsonFile.Write(Path.Combine(target, ModelConfig.FileName), json => config.WriteTo(json));
    }
}
