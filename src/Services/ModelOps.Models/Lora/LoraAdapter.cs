using ModelOps.Models.Decoder;
using static TorchSharp.torch;

namespace ModelOps.Models.Lora;

/// <summary>The updates that are attached to a model's projections. Disposing it detaches them.</summary>
internal sealed class LoraAdapter : IDisposable
{
    private readonly Generator randomness;

    /// <exception cref="ArgumentException">The options are out of range; names all that is wrong.</exception>
    public LoraAdapter(IReadOnlyList<Projection> projections, LoraOptions options, int seed)
    {
        var names = options.ResolveTargets([.. projections.Select(projection => projection.Name).Distinct()]);
        Options = options;
        Adapted = [.. projections.Where(projection => names.Contains(projection.Name))];
        randomness = new Generator((ulong)seed);
        foreach (var projection in Adapted) projection.Lora = new LoraUpdate(projection.Weight_OI, options, randomness);
    }

    public LoraOptions Options { get; }

    public IReadOnlyList<Projection> Adapted { get; }

    public IEnumerable<LoraUpdate> Updates => Adapted.Select(projection => projection.Lora!);

    public void Dispose()
    {
        foreach (var projection in Adapted)
        {
            projection.Lora?.Dispose();
            projection.Lora = null;
        }
        randomness.Dispose();
    }
}
