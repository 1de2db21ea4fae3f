using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// A LoRA adapter as GGUF: pairs NAME.lora_a (row length, rank) and NAME.lora_b (rank, rows) for weights NAME (row length, rows) of a model,
/// for embeddings the other way round. Checked before llama.cpp sees it, which answers to some of the errors with an assertion.
/// </summary>
internal static unsafe class AdapterFile
{
    private const string PartA = ".lora_a";
    private const string PartB = ".lora_b";
    private const string TokenEmbedding = "token_embd.weight";

    private static readonly string[] types = ["f32", "f16", "bf16", "q8_0"];

    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgmlException">It is no LoRA adapter of this model; the message has everything that differs.</exception>
    public static void Check(string path, LlamaModel model)
    {
        var tensors = GgufHeader.Read(path, "adapter", gguf => [.. MetadataErrors(gguf, model)]);
        string[] errors = [.. TensorErrors(tensors, model)];
        if (errors.Length == 0) return;
        var shown = string.Join("; ", errors.Take(5));
        throw new GgmlException(
            $"{path} is no adapter of {model.Path}: {(errors.Length > 5 ? $"{shown}; and {errors.Length - 5} more" : shown)}.");
    }

    private static IEnumerable<string> MetadataErrors(GgufHandle gguf, LlamaModel model)
    {
        if (GgufMetadata.Text(gguf, "general.type") is var type and not "adapter") yield return $"general.type is '{type}', not 'adapter'";
        if (GgufMetadata.Text(gguf, "adapter.type") is var kind and not "lora") yield return $"adapter.type is '{kind}', not 'lora'";
        var architecture = GgufMetadata.Text(gguf, "general.architecture");
        if (architecture != model.Architecture) yield return $"it is for the architecture '{architecture}', the model's is '{model.Architecture}'";
        if (NativeGgml.FindKey(gguf, "adapter.lora.alpha") >= 0
            && !(GgufMetadata.Find(gguf, "adapter.lora.alpha", GgufType.Float32) is { } alpha && float.IsFinite(NativeGgml.Float32Value(gguf, alpha))))
            yield return "adapter.lora.alpha is no finite float";
        if (NativeGgml.FindKey(gguf, "adapter.alora.invocation_tokens") >= 0)
            yield return "it is an activated LoRA (adapter.alora.invocation_tokens), which is not supported";
    }

    private static IEnumerable<string> TensorErrors(IReadOnlyList<GgufTensor> tensors, LlamaModel model)
    {
        if (tensors.Count == 0) yield return "it has no tensors";
        var byName = tensors.ToDictionary(tensor => tensor.Name);
        foreach (var tensor in tensors)
        {
            var isA = tensor.Name.EndsWith(PartA, StringComparison.Ordinal);
            if (!isA && !tensor.Name.EndsWith(PartB, StringComparison.Ordinal))
            {
                yield return $"the tensor {tensor.Name} is no part of a LoRA pair";
                continue;
            }
            if (!types.Contains(tensor.Type)) yield return $"{tensor.Name} is {tensor.Type}: {string.Join(", ", types)} are possible";
            var name = tensor.Name[..^PartA.Length];
            if (!byName.TryGetValue(name + (isA ? PartB : PartA), out var other)) yield return $"{tensor.Name} lacks its other half";
            else if (isA && PairError(name, tensor, other, model) is { } error) yield return error;
        }
    }

    private static string? PairError(string name, GgufTensor a, GgufTensor b, LlamaModel model)
    {
        if (!model.TensorShapes.TryGetValue(name, out var shape)) return $"the model has no tensor {name}";
        var (rowLength, rows, experts) = (shape[0], shape[1], shape[2]);
        var rank = b.Shape[0];
        long[] wantedA = name == TokenEmbedding ? [rank, rows, 1, 1] : [rowLength, rank, experts, 1];
        long[] wantedB = name == TokenEmbedding ? [rank, rowLength, 1, 1] : [rank, rows, experts, 1];
        return rank > 0 && a.Shape.SequenceEqual(wantedA) && b.Shape.SequenceEqual(wantedB)
            ? null
            : $"{name} of the model is {Text(shape)}, which A {Text(a.Shape)} and B {Text(b.Shape)} do not fit";
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}
