using static TorchSharp.torch;

namespace ModelOps.Models.Lora;

/// <summary>
/// Random numbers that are a function of a seed and the step alone: a run that is taken up again draws what it would have drawn.
/// </summary>
internal sealed class StepRandomness(int seed) : IDisposable
{
    public Generator Generator { get; } = new((ulong)seed);

    /// <summary>Whether the current pass is one of training: evaluation draws nothing.</summary>
    public bool IsTraining { get; set; }

    /// <summary>The generator takes 32 bits of seed; SplitMix64 (Steele et al. 2014) makes them of both numbers.</summary>
    public void Reseed(int step)
    {
        var mixed = (((ulong)(uint)seed << 32) | (uint)step) + 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        Generator.manual_seed((long)((mixed ^ (mixed >> 31)) & uint.MaxValue));
    }

    public void Dispose() => Generator.Dispose();
}
