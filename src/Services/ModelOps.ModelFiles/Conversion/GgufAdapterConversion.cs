using ModelOps.ModelFiles.Gguf;
using ModelOps.ModelFiles.Peft;
using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.ModelFiles.Conversion;

/// <summary>
/// Writes a LoRA adapter as a GGUF file that llama.cpp applies to its converted base model, of whatever type that is. As llama.cpp's
/// <c>convert_lora_to_gguf.py</c> does it: tensors are called <c>blk.0.attn_q.weight.lora_a</c> and <c>.lora_b</c>.
/// </summary>
public static class GgufAdapterConversion
{
    /// <summary>Converts A and B of every module; the file appears when complete.</summary>
    /// <param name="baseModel">What the adapter was trained on: it says the architecture and the order of the rows of B.</param>
    /// <exception cref="InvalidModelFileException">The adapter is decomposed (DoRA), does not fit the base, or holds a number that is none
    /// or, with F16, too large.</exception>
    public static void Convert(
        AdapterFolder adapter,
        ModelFolder baseModel,
        string outputPath,
        GgufWeightType type,
        GgufDescription description,
        CancellationToken cancellationToken = default)
    {
        if (adapter.Config.IsDecomposed)
            throw new InvalidModelFileException(
                adapter.Path, "llama.cpp has no DoRA adapters (\"use_dora\"): merge it into its base and convert the merged model");
        adapter.ThrowUnlessFits(baseModel);
        using var weights = adapter.OpenWeights();
        var tensors = adapter.Modules.Values
            .SelectMany(module => (GgufTensorSource[])[SourceA(module, baseModel, weights, type), SourceB(module, baseModel, weights, type)])
            .ToArray();
        GgufWriter.Write(outputPath, Metadata(adapter.Config, baseModel.Config.Family, type, description), tensors, cancellationToken);
    }

    private static IEnumerable<KeyValuePair<string, object>> Metadata(
        AdapterConfig config, ModelFamily family, GgufWeightType type, GgufDescription description)
    {
        yield return new("general.architecture", family.GgufArchitecture);
        yield return new("general.type", "adapter");
        foreach (var entry in description.ToMetadata()) yield return entry;
        yield return new("general.file_type", GgufArchitecture.FileType(type));
        yield return new("general.quantization_version", GgufArchitecture.QuantizationVersion);
        yield return new("adapter.type", "lora");
        // llama.cpp multiplies B A with alpha / rank, always: a rank-stabilized scale is brought into that form.
        yield return new("adapter.lora.alpha", (float)(config.Scale * config.Rank));
    }

    private static GgufTensorSource SourceA(LoraModule module, ModelFolder baseModel, SafetensorsFile weights, GgufWeightType type) =>
        Source($"{GgufName(module, baseModel)}.lora_a", module.A, weights, type, values => values);

    private static GgufTensorSource SourceB(LoraModule module, ModelFolder baseModel, SafetensorsFile weights, GgufWeightType type)
    {
        var reordered = GgufArchitecture.IsReordered($"{module.Name}.weight", baseModel.Config.Family);
        return Source(
            $"{GgufName(module, baseModel)}.lora_b", module.B, weights, type,
            values => reordered ? Reorder(values, (int)module.B.Shape[1], baseModel.Config.HeadDimension) : values);
    }

    private static string GgufName(LoraModule module, ModelFolder baseModel) =>
        GgufArchitecture.TensorName($"{module.Name}.weight", baseModel.Config.Family);

    private static GgufTensorSource Source(
        string name, TensorInfo tensor, SafetensorsFile weights, GgufWeightType type, Func<float[], float[]> arrange)
    {
        var (dtype, ggmlType) = GgufArchitecture.StoredAs(type);
        return new(name, ggmlType, [.. tensor.Shape.Reverse()], stream =>
        {
            var values = arrange(weights.ReadFloats(tensor.Name));
            GgufConversion.ThrowUnlessFinite(weights.Path, tensor.Name, values, dtype);
            TensorSource.WriteFloats(stream, values, dtype);
        });
    }

    private static float[] Reorder(float[] values, int columns, int headRows)
    {
        var result = new float[values.Length];
        var headSize = headRows * columns;
        for (var start = 0; start < values.Length; start += headSize)
            GgufArchitecture.InterleaveHalves(values.AsSpan(start, headSize), result.AsSpan(start, headSize), columns);
        return result;
    }
}
