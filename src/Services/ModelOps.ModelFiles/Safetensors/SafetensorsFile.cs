using System.Buffers;
using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace ModelOps.ModelFiles.Safetensors;

/// <summary>A safetensors file, validated whole when opened; reads are positional and safe from several threads.</summary>
public sealed class SafetensorsFile : IDisposable
{
    private const int ChunkBytes = 1 << 20;

    private readonly SafeFileHandle handle;

    private SafetensorsFile(string path, SafeFileHandle handle, SafetensorsHeader header)
    {
        Path = path;
        this.handle = handle;
        Tensors = header.Tensors.ToDictionary(tensor => tensor.Name);
        Metadata = header.Metadata;
    }

    public string Path { get; }

    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>The header's <c>__metadata__</c>; empty when absent.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <exception cref="InvalidModelFileException">The header breaks the format or does not match the file's length.</exception>
    /// <exception cref="IOException">The file is missing or unreadable.</exception>
    public static SafetensorsFile Open(string path)
    {
        var opened = File.OpenHandle(path);
        try
        {
            return new SafetensorsFile(path, opened, ReadHeader(path, opened));
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <exception cref="KeyNotFoundException">The file has no tensor of that name.</exception>
    public TensorInfo this[string name] => Tensors.TryGetValue(name, out var tensor)
        ? tensor
        : throw new KeyNotFoundException($"{Path} has no tensor \"{name}\".");

    /// <summary>Reads a whole tensor as it is stored: little-endian, row-major.</summary>
    /// <param name="destination">Exactly the tensor's length.</param>
    public void Read(string name, Span<byte> destination)
    {
        var tensor = this[name];
        if (destination.Length != tensor.Length)
            throw new ArgumentException(
                $"Tensor \"{name}\" has {tensor.Length} bytes, the destination {destination.Length}.", nameof(destination));
        ReadExactly(tensor.Offset, destination);
    }

    /// <summary>Reads a whole F32, F16 or BF16 tensor, widened to fp32.</summary>
    /// <exception cref="InvalidModelFileException">The tensor has another dtype.</exception>
    public float[] ReadFloats(string name)
    {
        var values = new float[this[name].ElementCount];
        ReadFloats(name, 0, values);
        return values;
    }

    /// <summary>Reads consecutive elements in row-major order, for tensors too large to hold whole.</summary>
    public void ReadFloats(string name, long firstElement, Span<float> destination)
    {
        var tensor = this[name];
        if (!FloatBytes.Supports(tensor.Dtype))
            throw new InvalidModelFileException(
                Path, $"tensor \"{name}\" is {tensor.Dtype.Name()}; only F32, F16 and BF16 can be read as floats");
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, tensor.ElementCount - destination.Length);

        var elementSize = tensor.Dtype.Size();
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            while (destination.Length > 0)
            {
                var count = Math.Min(destination.Length, ChunkBytes / elementSize);
                var bytes = buffer.AsSpan(0, count * elementSize);
                ReadExactly(tensor.Offset + (firstElement * elementSize), bytes);
                FloatBytes.Decode(tensor.Dtype, bytes, destination[..count]);
                destination = destination[count..];
                firstElement += count;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public void Dispose() => handle.Dispose();

    private static SafetensorsHeader ReadHeader(string path, SafeFileHandle handle)
    {
        var fileLength = RandomAccess.GetLength(handle);
        if (fileLength < SafetensorsHeader.PrefixLength)
            throw new InvalidModelFileException(
                path, $"not a safetensors file: {fileLength} bytes, shorter than the header's length field");
        Span<byte> prefix = stackalloc byte[SafetensorsHeader.PrefixLength];
        FileReads.ReadExactly(path, handle, 0, prefix);
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > SafetensorsHeader.MaxLength)
            throw new InvalidModelFileException(
                path, $"not a safetensors file: header of {headerLength} bytes, at most {SafetensorsHeader.MaxLength} are allowed");
        var dataStart = SafetensorsHeader.PrefixLength + (long)headerLength;
        if (dataStart > fileLength)
            throw new InvalidModelFileException(
                path, $"truncated or not a safetensors file: header of {headerLength} bytes in a file of {fileLength}");
        var header = new byte[headerLength];
        FileReads.ReadExactly(path, handle, SafetensorsHeader.PrefixLength, header);
        return SafetensorsHeader.Parse(path, header, dataStart, fileLength - dataStart);
    }

    private void ReadExactly(long offset, Span<byte> destination) => FileReads.ReadExactly(Path, handle, offset, destination);
}
