using System.Runtime.InteropServices;
using ModelOps.Ggml;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Quantization;

/// <summary>
/// An importance matrix in the format of llama.cpp's own tools, which is GGUF.
/// https://github.com/ggml-org/llama.cpp/tree/master/tools/imatrix.
/// </summary>
public static class ImportanceMatrixFile
{
    /// <summary>Not called .gguf, which a model's file is.</summary>
    public const string Name = "imatrix.dat";

    /// <param name="dataset">What the texts come from.</param>
    public static void Write(string path, ImportanceMatrix importance, string dataset, CancellationToken cancellationToken = default)
    {
        var metadata = new Dictionary<string, object>
        {
            ["general.type"] = "imatrix",
            ["imatrix.datasets"] = (string[])[dataset],
            ["imatrix.chunk_count"] = (uint)importance.Texts,
            ["imatrix.chunk_size"] = (uint)Math.Max(1, importance.Tokens / importance.Texts),
        };
        var tensors = importance.Matrices.OrderBy(entry => entry.Key, StringComparer.Ordinal).SelectMany(entry => (GgufTensorSource[])
        [
            Source($"{entry.Key}.in_sum2", [entry.Value.SumOfSquares.Length, 1], entry.Value.SumOfSquares),
            Source($"{entry.Key}.counts", [1, 1], [entry.Value.Count]),
        ]);
        GgufWriter.Write(path, metadata, [.. tensors], cancellationToken);
    }

    private static GgufTensorSource Source(string name, long[] dimensions, float[] values) =>
        new(name, GgmlType.F32, dimensions, stream => stream.Write(MemoryMarshal.AsBytes<float>(values)));
}
