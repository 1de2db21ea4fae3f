using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.ModelFiles;

/// <summary>Reads the weights of a <see cref="ModelFolder"/> from its open files.</summary>
public sealed class ModelWeights : IDisposable
{
    private readonly IReadOnlyDictionary<string, WeightLocation> locations;
    private readonly Dictionary<string, SafetensorsFile> files = [];

    internal ModelWeights(IReadOnlyDictionary<string, WeightLocation> locations)
    {
        this.locations = locations;
        try
        {
            foreach (var path in locations.Values.Select(location => location.FilePath).Distinct())
                files[path] = SafetensorsFile.Open(path);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <exception cref="KeyNotFoundException">The model has no weight of that name.</exception>
    public WeightLocation this[string name] =>
        locations.TryGetValue(name, out var location) ? location : throw new KeyNotFoundException($"The model has no weight \"{name}\".");

    /// <summary>The bytes as stored.</summary>
    public void Read(string name, Span<byte> destination) => FileOf(name).Read(name, destination);

    /// <summary>The whole weight, widened to fp32.</summary>
    public float[] ReadFloats(string name) => FileOf(name).ReadFloats(name);

    public void ReadFloats(string name, long firstElement, Span<float> destination) =>
        FileOf(name).ReadFloats(name, firstElement, destination);

    public void Dispose()
    {
        foreach (var file in files.Values) file.Dispose();
    }

    private SafetensorsFile FileOf(string name) => files[this[name].FilePath];
}
