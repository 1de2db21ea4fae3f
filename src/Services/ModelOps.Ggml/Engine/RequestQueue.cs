namespace ModelOps.Ggml;

/// <summary>The requests that wait for a slot. Under the engine's gate.</summary>
/// <param name="slots">What may be decoded at the same time.</param>
internal sealed class RequestQueue(int slots, int maxRequests, long? maxTokens)
{
    private static readonly Comparer<Generation> byTurn =
        Comparer<Generation>.Create((a, b) => a.Turn != b.Turn ? a.Turn.CompareTo(b.Turn) : a.Number.CompareTo(b.Number));

    private readonly SortedSet<Generation> waiting = new(byTurn);
    private long numbers;

    public int Count => waiting.Count;

    public long Tokens { get; private set; }

    public bool IsEmpty => waiting.Count == 0;

    /// <exception cref="EngineBusyException">It would have to wait, and no more may.</exception>
    public void Add(Generation generation, int active)
    {
        if (active + Count >= slots)
        {
            if (active + Count >= slots + maxRequests) throw new EngineBusyException(active, Count, maxRequests);
            if (Tokens + generation.PromptTokens > maxTokens)
                throw new EngineBusyException(active, Count, Tokens, generation.PromptTokens, maxTokens.Value);
        }
        generation.Number = ++numbers;
        waiting.Add(generation);
        Tokens += generation.PromptTokens;
    }

    public bool Remove(Generation generation)
    {
        if (!waiting.Remove(generation)) return false;
        Tokens -= generation.PromptTokens;
        return true;
    }

    /// <summary>Takes the one whose turn it is.</summary>
    public Generation Take()
    {
        var first = waiting.Min!;
        Remove(first);
        return first;
    }

    public IReadOnlyList<Generation> Clear()
    {
        Generation[] all = [.. waiting];
        waiting.Clear();
        Tokens = 0;
        return all;
    }
}
