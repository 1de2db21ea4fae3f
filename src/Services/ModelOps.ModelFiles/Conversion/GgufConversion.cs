using ModelOps.ModelFiles.Gguf;
using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.ModelFiles.Conversion;

/// <summary>Writes a model in Hugging Face layout as a GGUF file that llama.cpp loads.</summary>
public static class GgufConversion
{
    private const int ChunkElements = 1 << 20;

    /// <summary>Converts weights, tokenizer and chat template. The file appears when complete.</summary>
    /// <exception cref="InvalidModelFileException">The tokenizer cannot be written so that llama.cpp splits text alike, or a weight does
    /// not fit F16; names everything that stands in the way.</exception>
    public static void Convert(
        ModelFolder model,
        string outputPath,
        GgufWeightType type,
        GgufDescription description,
        CancellationToken cancellationToken = default)
    {
        GgufArchitecture.ThrowUnlessComputable(model);
        using var weights = model.OpenWeights();
        var tensors = DecoderTensors.Of(model.Config)
            .Select(tensor => ToSource(model, weights, tensor.Name, tensor.Shape, type, cancellationToken))
            .Concat(GgufArchitecture.RopeFactors(model.Config))
            .ToArray();
        GgufWriter.Write(
            outputPath,
            [.. GeneralMetadata(model.Config, type, description), .. GgufArchitecture.Metadata(model.Config), .. GgufTokenizer.ToMetadata(model)],
            tensors,
            cancellationToken);
    }

    private static IEnumerable<KeyValuePair<string, object>> GeneralMetadata(
        ModelConfig config, GgufWeightType type, GgufDescription description)
    {
        yield return new("general.architecture", config.Family.GgufArchitecture);
        yield return new("general.type", "model");
        foreach (var entry in description.ToMetadata()) yield return entry;
        yield return new("general.size_label", SizeLabel(DecoderTensors.ParameterCount(config)));
        yield return new("general.file_type", GgufArchitecture.FileType(type));
        yield return new("general.quantization_version", GgufArchitecture.QuantizationVersion);
    }

    private static GgufTensorSource ToSource(
        ModelFolder model, ModelWeights weights, string name, long[] shape, GgufWeightType type, CancellationToken cancellationToken)
    {
        var (dtype, ggmlType) = GgufArchitecture.StoredAs(shape.Length == 1 ? GgufWeightType.F32 : type);
        return new GgufTensorSource(
            GgufArchitecture.TensorName(name, model.Config.Family),
            ggmlType,
            [.. shape.Reverse()],
            stream => WriteRows(stream, model, weights, name, dtype, cancellationToken));
    }

    // A block is a head for queries and keys, whose rows are reordered, and otherwise as many rows as bound the memory.
    private static void WriteRows(
        Stream stream, ModelFolder model, ModelWeights weights, string name, Dtype dtype, CancellationToken cancellationToken)
    {
        var shape = weights[name].Tensor.Shape;
        var columns = (int)shape[^1];
        var rows = shape.Length == 1 ? 1 : shape[0];
        var offset = model.Config.Family.OffsetNorms && DecoderTensors.IsNorm(name);
        var rotated = GgufArchitecture.IsReordered(name, model.Config.Family);
        var blockRows = rotated ? model.Config.HeadDimension : (int)Math.Min(rows, Math.Max(1, ChunkElements / columns));
        var block = new float[blockRows * columns];
        var reordered = rotated ? new float[block.Length] : block;
        for (long row = 0; row < rows; row += blockRows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var count = (int)Math.Min(blockRows, rows - row) * columns;
            weights.ReadFloats(name, row * columns, block.AsSpan(0, count));
            if (rotated) GgufArchitecture.InterleaveHalves(block, reordered, columns);
            if (offset) AddOne(block); // llama.cpp multiplies by w what Gemma multiplies by 1 + w
            ThrowUnlessFinite(model.Path, name, reordered.AsSpan(0, count), dtype);
            TensorSource.WriteFloats(stream, reordered.AsSpan(0, count), dtype);
        }
    }

    private static void AddOne(Span<float> values)
    {
        foreach (ref var value in values) value++;
    }

    internal static void ThrowUnlessFinite(string path, string name, ReadOnlySpan<float> values, Dtype dtype)
    {
        foreach (var value in values)
        {
            if (!float.IsFinite(value)) throw new InvalidModelFileException(path, $"tensor \"{name}\" holds {value}");
            if (dtype == Dtype.F16 && !Half.IsFinite((Half)value))
                throw new InvalidModelFileException(path, $"tensor \"{name}\" holds {value}, which F16 cannot; convert to BF16 or F32");
        }
    }

    private static string SizeLabel(long parameters) => parameters switch
    {
        >= 1_000_000_000 => $"{parameters / 1e9:0.#}B",
        >= 1_000_000 => $"{parameters / 1e6:0.#}M",
        _ => $"{parameters / 1e3:0.#}K",
    };
}
