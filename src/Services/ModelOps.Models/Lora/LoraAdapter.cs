using ModelOps.Models.Decoder;
using static TorchSharp.torch;

namespace ModelOps.Models.Lora;

/// <summary>The updates that are attached to a model's projections. Disposing it detaches them.</summary>
internal sealed class LoraAdapter : IDisposable
{
    private readonly Generator randomness;
    private readonly int seed;

    /// <exception cref="ArgumentException">The options are out of range; names all that is wrong.</exception>
    public LoraAdapter(IReadOnlyList<Projection> projections, LoraOptions options, int seed)
    {
        var names = options.ResolveTargets([.. projections.Select(projection => projection.Name).Distinct()]);
        Options = options;
        this.seed = seed;
        Adapted = [.. projections.Where(projection => names.Contains(projection.Name))];
        randomness = new Generator((ulong)seed);
        foreach (var projection in Adapted) projection.Lora = new LoraUpdate(projection.Weight_OI, options, randomness);
    }

    public LoraOptions Options { get; }

    public IReadOnlyList<Projection> Adapted { get; }

    public IEnumerable<LoraUpdate> Updates => Adapted.Select(projection => projection.Lora!);

    /// <summary>The generator takes 32 bits of seed; SplitMix64 (Steele et al. 2014) makes them of both numbers.</summary>
    public void Reseed(int step)
    {
        var mixed = ((ulong)(uint)seed << 32 | (uint)step) + 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        randomness.manual_seed((long)((mixed ^ (mixed >> 31)) & uint.MaxValue));
    }

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
