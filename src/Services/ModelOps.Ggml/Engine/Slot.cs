namespace ModelOps.Ggml;

/// <summary>A sequence of the context. Of the engine's thread.</summary>
internal sealed class Slot(int index)
{
    public int Index { get; } = index;

    /// <summary>The tokens that the cache has, by position; those of an ended request stay for the next.</summary>
    public List<int> Tokens { get; } = [];

    /// <summary>What <see cref="Tokens"/> were computed with: the cache of one adapter is wrong for any other.</summary>
    public EngineAdapter? Adapter { get; set; }

    public bool Free { get; set; } = true;

    /// <summary>Grows with every request that ends: the smallest was used longest ago.</summary>
    public long LastUse { get; set; }
}
