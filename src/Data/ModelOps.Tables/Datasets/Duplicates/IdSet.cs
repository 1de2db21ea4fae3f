namespace ModelOps.Tables.Datasets.Duplicates;

/// <summary>
/// Ids that were seen: 16 bytes each in a table at most three quarters full, a third of what a <see cref="HashSet{T}"/> takes. An id is a part of
/// a SHA-256, so its own bits place it.
/// </summary>
internal sealed class IdSet
{
    private UInt128[] slots = new UInt128[1 << 10]; // a power of two; 0 is an empty one
    private int count;
    private bool hasZero;

    /// <returns>false: it was there already.</returns>
    public bool Add(UInt128 id)
    {
        if (id == 0)
        {
            if (hasZero) return false;
            return hasZero = true;
        }
        if (!Put(slots, id)) return false;
        if (++count > slots.Length / 4L * 3) Grow();
        return true;
    }

    private void Grow()
    {
        var larger = new UInt128[checked(slots.Length * 2)];
        foreach (var id in slots)
            if (id != 0) Put(larger, id);
        slots = larger;
    }

    private static bool Put(UInt128[] slots, UInt128 id)
    {
        var at = (int)(uint)id & (slots.Length - 1);
        while (slots[at] != 0)
        {
            if (slots[at] == id) return false;
            at = (at + 1) & (slots.Length - 1);
        }
        slots[at] = id;
        return true;
    }
}
