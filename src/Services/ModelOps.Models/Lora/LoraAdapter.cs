using ModelOps.Models.Decoder;
using static TorchSharp.torch;

namespace ModelOps.Models.Lora;

/// <summary>The updates that are attached to a model's projections. Disposing it detaches them.</summary>
internal sealed class LoraAdapter : IDisposable
{
    /// <exception cref="ArgumentException">The options are out of range; names all that is wrong.</exception>
    public LoraAdapter(IReadOnlyList<Projection> projections, Device device, LoraOptions options, int seed)
    {
        var names = options.ResolveTargets([.. projections.Select(projection => projection.Name).Distinct()]);
        Options = options;
        Randomness = new StepRandomness(seed);
        Adapted = [.. projections.Where(projection => names.Contains(projection.Name))];
        foreach (var projection in Adapted) projection.Lora = new LoraUpdate(projection.Weight, device, options, Randomness);
    }

    public LoraOptions Options { get; }

    /// <summary>What dropout draws from.</summary>
    public StepRandomness Randomness { get; }

    public IReadOnlyList<Projection> Adapted { get; }

    public IEnumerable<LoraUpdate> Updates => Adapted.Select(projection => projection.Lora!);

    public void Dispose()
    {
        foreach (var projection in Adapted)
        {
            projection.Lora?.Dispose();
            projection.Lora = null;
        }
        Randomness.Dispose();
    }
}
