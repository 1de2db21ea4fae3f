using Microsoft.Win32.SafeHandles;

namespace ModelOps.ModelFiles.Gguf;

/// <summary>A GGUF file (version 2 or 3, little-endian), its header validated when opened; reads are positional and safe from several
/// threads.</summary>
public sealed class GgufFile : IDisposable
{
    private readonly SafeFileHandle handle;

    private GgufFile(string path, SafeFileHandle handle, GgufHeader header)
    {
        Path = path;
        this.handle = handle;
        Metadata = header.Metadata;
        Tensors = header.Tensors.ToDictionary(tensor => tensor.Name);
    }

    public string Path { get; }

    /// <summary>Values are byte, sbyte, ushort, short, uint, int, ulong, long, float, double, bool, string, or an array of one of these.
    /// Bytes of a string that are not UTF-8 read as U+FFFD.</summary>
    public IReadOnlyDictionary<string, object> Metadata { get; }

    public IReadOnlyDictionary<string, GgufTensorInfo> Tensors { get; }

    /// <summary>Bits of tensor data per weight, over all tensors: what the file really is, whatever its type is called.</summary>
    public double BitsPerWeight =>
        Tensors.Values.Sum(tensor => 8.0 * tensor.Length) / Math.Max(1, Tensors.Values.Sum(tensor => (double)tensor.ElementCount));

    /// <exception cref="InvalidModelFileException">The header breaks the format or does not match the file's length.</exception>
    /// <exception cref="IOException">The file is missing or unreadable.</exception>
    public static GgufFile Open(string path)
    {
        var opened = File.OpenHandle(path);
        try
        {
            return new GgufFile(path, opened, GgufHeader.Read(path, opened));
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>A metadata value that must be there and be of this type.</summary>
    /// <exception cref="InvalidModelFileException">It is missing or of another type.</exception>
    public T Get<T>(string key)
    {
        if (!Metadata.TryGetValue(key, out var value)) throw new InvalidModelFileException(Path, $"metadata \"{key}\" is missing");
        return value is T typed
            ? typed
            : throw new InvalidModelFileException(Path, $"metadata \"{key}\" is {value.GetType().Name}, {typeof(T).Name} is expected");
    }

    /// <summary>Reads a whole tensor as it is stored.</summary>
    /// <param name="destination">Exactly the tensor's length.</param>
    /// <exception cref="KeyNotFoundException">The file has no tensor of that name.</exception>
    public void Read(string name, Span<byte> destination)
    {
        if (!Tensors.TryGetValue(name, out var tensor)) throw new KeyNotFoundException($"{Path} has no tensor \"{name}\".");
        if (destination.Length != tensor.Length)
            throw new ArgumentException(
                $"Tensor \"{name}\" has {tensor.Length} bytes, the destination {destination.Length}.", nameof(destination));
        FileReads.ReadExactly(Path, handle, tensor.Offset, destination);
    }

    public void Dispose() => handle.Dispose();
}
