using System.Buffers.Binary;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <param name="Shape">Four dimensions, the row length first; those that are not used are 1.</param>
/// <param name="Type">ggml's name of the type, such as f32, q8_0, q4_K.</param>
/// <param name="BlockSize">Elements that are quantized together; 1 if they are not.</param>
/// <param name="Size">Bytes.</param>
internal sealed record GgufTensor(string Name, long[] Shape, string Type, long BlockSize, long Size)
{
    public long Elements => Shape.Aggregate(1L, (product, dimension) => product * dimension);
}

/// <summary>
/// The header of a GGUF file as ggml's own reader sees it. Read before a file goes to llama.cpp, because that reader answers to a broken
/// file with an error and the code behind it may answer with an assertion.
/// </summary>
internal static unsafe class GgufHeader
{
    private const int FixedHeaderSize = 24; // magic, version, two counts

    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgmlException">The file is no GGUF file that llama.cpp could load.</exception>
    public static IReadOnlyList<GgufTensor> Read(string path) => Read(path, "model", GgufMetadata.Errors);

    /// <param name="path">The file.</param>
    /// <param name="kind">What it is to be.</param>
    /// <param name="findErrors">What keeps it from being that.</param>
    public static IReadOnlyList<GgufTensor> Read(string path, string kind, Func<GgufHandle, IReadOnlyList<string>> findErrors)
    {
        var length = CheckStart(path);
        using var gguf = new GgufHandle(
            NativeLog.Capture(() => NativeGgml.OpenGguf(path, new GgufParams { NoAllocation = 1 }), out var problems));
        if (gguf.IsInvalid) throw new GgmlException($"{path} is a broken GGUF file: {NativeLog.Reason(problems)}.");

        var errors = findErrors(gguf);
        if (errors.Count > 0) throw new GgmlException($"{path} is no {kind} that llama.cpp can load: {string.Join("; ", errors)}.");

        var dataOffset = (long)NativeGgml.DataOffset(gguf);
        var tensors = new GgufTensor[NativeGgml.TensorCount(gguf)];
        for (var i = 0; i < tensors.Length; i++)
        {
            tensors[i] = Tensor(gguf, i);
            var end = dataOffset + (long)NativeGgml.TensorOffset(gguf, i) + tensors[i].Size;
            if (end > length)
                throw new GgmlException(
                    $"{path} is cut off: tensor {tensors[i].Name} ends at byte {end} of {length}. Copy or download the file again.");
        }
        return tensors;
    }

    private static GgufTensor Tensor(GgufHandle gguf, long index)
    {
        var type = NativeGgml.TensorType(gguf, index);
        var shape = NativeGgml.TensorShape(gguf, index); // ggml's reader made sure that the product is a long
        return new(
            NativeBuild.Text(NativeGgml.TensorName(gguf, index)),
            [shape[0], shape[1], shape[2], shape[3]],
            NativeBuild.Text(NativeGgml.TypeName(type)),
            NativeGgml.BlockSize(type),
            checked((long)NativeGgml.TensorSize(gguf, index)));
    }

    private static long CheckStart(string path)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no file {path}.", path);
        using var file = File.OpenHandle(path);
        Span<byte> start = stackalloc byte[FixedHeaderSize];
        var read = RandomAccess.Read(file, start, 0);
        if (read < FixedHeaderSize || !start.StartsWith("GGUF"u8))
            throw new GgmlException($"{path} is no GGUF file: it does not begin with a GGUF header.");
        var version = BinaryPrimitives.ReadUInt32LittleEndian(start[4..]);
        return version is 2 or 3
            ? RandomAccess.GetLength(file)
            : throw new GgmlException($"{path} is GGUF version {version}; versions 2 and 3 are supported.");
    }
}
