namespace ModelOps.Temporal;

/// <summary>
/// The part of a history that is in memory: what is not stored yet, and the tail that the next workflow task shows to a worker that
/// holds the rest. The whole is in the store.
/// </summary>
internal sealed class RunHistory
{
    private readonly List<HistoryEvent> unsaved = [];
    private readonly List<HistoryEvent> tail = [];

    public long Count { get; private set; }
    public long Bytes { get; private set; }
    public bool HasUnsaved => unsaved.Count > 0;

    /// <summary>The id before the tail's first event.</summary>
    private long TailStart => Count - tail.Count;

    public void Add(HistoryEvent added)
    {
        AddStored(added);
        unsaved.Add(added);
    }

    public void AddStored(HistoryEvent added)
    {
        Count++;
        Bytes += added.CalculateSize();
        tail.Add(added);
    }

    public HistoryEvent[] TakeUnsaved()
    {
        var taken = unsaved.ToArray();
        unsaved.Clear();
        return taken;
    }

    /// <summary>Forgets the events up to an id; the store has them.</summary>
    public void Trim(long upTo) => tail.RemoveRange(0, (int)Math.Clamp(upTo - TailStart, 0, tail.Count));

    /// <summary>The events after an id, or null when they begin before what is in memory.</summary>
    public HistoryEvent[]? After(long id) => id < TailStart ? null : [.. tail.Skip((int)(id - TailStart))];
}
