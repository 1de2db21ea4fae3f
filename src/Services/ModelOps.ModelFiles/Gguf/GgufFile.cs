namespace ModelOps.ModelFiles.Gguf;

/// <summary>A GGUF model (version 2 or 3, little-endian), in one file or in parts, its headers validated when opened; reads are positional and safe from
/// several threads.</summary>
public sealed class GgufFile : IDisposable
{
    private readonly IReadOnlyList<GgufPart> parts;
    private readonly Dictionary<string, GgufPart> partOf = [];

    private GgufFile(string path, IReadOnlyList<GgufPart> parts)
    {
        Path = path;
        this.parts = parts;
        Metadata = parts[0].Header.Metadata;
        foreach (var part in parts)
            foreach (var tensor in part.Header.Tensors) partOf.Add(tensor.Name, part);
        Tensors = parts.SelectMany(part => part.Header.Tensors).ToDictionary(tensor => tensor.Name);
    }

    public string Path { get; }

    /// <summary>Values are byte, sbyte, ushort, short, uint, int, ulong, long, float, double, bool, string, or an array of one of these.
    /// Bytes of a string that are not UTF-8 read as U+FFFD. Of a model in parts, those of the first.</summary>
    public IReadOnlyDictionary<string, object> Metadata { get; }

    /// <summary>Of all parts; offsets count from the start of a tensor's own.</summary>
    public IReadOnlyDictionary<string, GgufTensorInfo> Tensors { get; }

    /// <summary>Bits of tensor data per weight, over all tensors: what the file really is, whatever its type is called.</summary>
    public double BitsPerWeight =>
        Tensors.Values.Sum(tensor => 8.0 * tensor.Length) / Math.Max(1, Tensors.Values.Sum(tensor => (double)tensor.ElementCount));

    /// <summary>Opens a file; of a model in parts (<c>name-00001-of-00003.gguf</c>) all of them, whichever is named.</summary>
    /// <exception cref="InvalidModelFileException">A header breaks the format or does not match its file's length, or parts are missing or not of one
    /// model.</exception>
    /// <exception cref="IOException">The file is missing or unreadable.</exception>
    public static GgufFile Open(string path) => new(path, GgufSplit.Open(path));

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
    /// <exception cref="KeyNotFoundException">The model has no tensor of that name.</exception>
    public void Read(string name, Span<byte> destination)
    {
        var tensor = Find(name);
        if (destination.Length != tensor.Length)
            throw new ArgumentException(
                $"Tensor \"{name}\" has {tensor.Length} bytes, the destination {destination.Length}.", nameof(destination));
        partOf[name].Read(tensor, destination);
    }

    /// <summary>A tensor's bytes as they are stored, memory-mapped: for tensors too large to hold, and for those of which a part is wanted. Good until
    /// this is disposed.</summary>
    /// <exception cref="KeyNotFoundException">The model has no tensor of that name.</exception>
    public Stream OpenTensor(string name)
    {
        var tensor = Find(name);
        return partOf[name].Map(tensor);
    }

    public void Dispose()
    {
        foreach (var part in parts) part.Dispose();
    }

    private GgufTensorInfo Find(string name) =>
        Tensors.TryGetValue(name, out var tensor) ? tensor : throw new KeyNotFoundException($"{Path} has no tensor \"{name}\".");
}
