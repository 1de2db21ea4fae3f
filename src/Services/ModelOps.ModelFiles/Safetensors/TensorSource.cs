using System.Buffers;

namespace ModelOps.ModelFiles.Safetensors;

/// <summary>A tensor to be written; its bytes are asked for when its turn comes, so that a file larger than memory can be
/// written.</summary>
/// <param name="Shape">Outermost dimension first.</param>
/// <param name="WriteTo">Writes exactly the tensor's bytes, little-endian and row-major.</param>
public sealed record TensorSource(string Name, Dtype Dtype, long[] Shape, Action<Stream> WriteTo)
{
    private const int ChunkElements = 1 << 18;

    public static TensorSource FromBytes(string name, Dtype dtype, long[] shape, ReadOnlyMemory<byte> bytes) =>
        new(name, dtype, shape, stream => stream.Write(bytes.Span));

    /// <summary>Stores fp32 values as <paramref name="dtype"/>: F32, F16 or BF16.</summary>
    public static TensorSource FromFloats(string name, long[] shape, ReadOnlyMemory<float> values, Dtype dtype = Dtype.F32) =>
        new(name, dtype, shape, stream => WriteFloats(stream, values.Span, dtype));

    /// <summary>Encodes floats into a stream in bounded pieces.</summary>
    public static void WriteFloats(Stream stream, ReadOnlySpan<float> values, Dtype dtype)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(values.Length, ChunkElements) * dtype.Size());
        try
        {
            while (values.Length > 0)
            {
                var count = Math.Min(values.Length, ChunkElements);
                var bytes = buffer.AsSpan(0, count * dtype.Size());
                FloatBytes.Encode(dtype, values[..count], bytes);
                stream.Write(bytes);
                values = values[count..];
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
