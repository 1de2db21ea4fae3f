using System.Runtime.InteropServices;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>A seeded random LoRA adapter, as GGUF, on every weight matrix of a model's layers.</summary>
internal sealed record TinyAdapter
{
    public int Rank { get; init; } = 4;
    public float Alpha { get; init; } = 8;
    public int Seed { get; init; } = 1;
    public string Architecture { get; init; } = "llama";
    public string Type { get; init; } = "adapter";

    /// <summary>Of the tensors that <see cref="Write"/> makes, by name.</summary>
    public Func<GgufTensorSource, GgufTensorSource?> Change { get; init; } = tensor => tensor;

    public void Write(string path, string modelPath)
    {
        using var model = GgufFile.Open(modelPath);
        GgufWriter.Write(
            path,
            new Dictionary<string, object>
            {
                ["general.architecture"] = Architecture,
                ["general.type"] = Type,
                ["adapter.type"] = "lora",
                ["adapter.lora.alpha"] = Alpha,
            },
            [.. Pairs(model).SelectMany(pair => new[]
            {
                Source($"{pair.Name}.lora_a", [pair.RowLength, Rank], pair.A), Source($"{pair.Name}.lora_b", [Rank, pair.Rows], pair.B),
            }).Select(Change).OfType<GgufTensorSource>()]);
    }

    /// <summary>Writes the model with the adapter merged into it: W + alpha / rank · B · A.</summary>
    public void Merge(string modelPath, string target)
    {
        using var model = GgufFile.Open(modelPath);
        var pairs = Pairs(model).ToDictionary(pair => pair.Name);
        GgufWriter.Write(target, model.Metadata, [.. model.Tensors.Values.Select(tensor =>
        {
            var values = new float[tensor.ElementCount];
            model.Read(tensor.Name, MemoryMarshal.AsBytes(values.AsSpan()));
            if (pairs.TryGetValue(tensor.Name, out var pair)) AddTo(values, pair);
            return Source(tensor.Name, tensor.Dimensions, values);
        })]);
    }

    private void AddTo(float[] values, Pair pair)
    {
        for (var row = 0; row < pair.Rows; row++)
            for (var column = 0; column < pair.RowLength; column++)
            {
                var sum = 0.0;
                for (var r = 0; r < Rank; r++) sum += (double)pair.B[(row * Rank) + r] * pair.A[(r * pair.RowLength) + column];
                values[(row * pair.RowLength) + column] += (float)(Alpha / Rank * sum);
            }
    }

    private IEnumerable<Pair> Pairs(GgufFile model)
    {
        var random = new Random(Seed);
        foreach (var tensor in model.Tensors.Values.Where(tensor => tensor.Name.StartsWith("blk.", StringComparison.Ordinal) && tensor.Dimensions.Length == 2))
        {
            var (rowLength, rows) = ((int)tensor.Dimensions[0], (int)tensor.Dimensions[1]);
            yield return new(tensor.Name, rowLength, rows, Values(random, rowLength * Rank), Values(random, Rank * rows));
        }
    }

    private static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => ((random.NextSingle() * 2) - 1) * 0.1f)];

    private static GgufTensorSource Source(string name, long[] shape, float[] values) =>
        new(name, GgmlType.F32, shape, stream => stream.Write(MemoryMarshal.AsBytes<float>(values)));

    private sealed record Pair(string Name, int RowLength, int Rows, float[] A, float[] B);
}
