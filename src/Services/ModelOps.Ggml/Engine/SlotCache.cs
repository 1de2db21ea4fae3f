using System.Runtime.InteropServices;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// The slots, and what they keep of requests that ended. A new request begins with the longest prefix of its prompt that any slot has, in
/// place or by a copy. Of the engine's thread.
/// </summary>
internal sealed class SlotCache(LlamaContext context, int count, bool keep, bool copies)
{
    // A copy moves a whole sequence's cells, whatever their number; computing so few tokens again takes no longer.
    private const int LeastCopied = 32;

    private readonly Slot[] slots = [.. Enumerable.Range(0, count).Select(index => new Slot(index))];
    private long uses;

    public bool HasFree => Array.Exists(slots, slot => slot.Free);

    /// <summary>Takes a free slot; its <see cref="Slot.Tokens"/> are the part of the prompt that need not be computed.</summary>
    public Slot Take(ReadOnlySpan<int> prompt, EngineAdapter adapter)
    {
        var (source, length) = LongestPrefix(prompt, adapter);
        var target = Target(source, length);
        if (target != source)
        {
            if (length >= LeastCopied && copies) Copy(source!, target);
            else length = 0;
        }
        Shorten(target, length);
        target.Adapter = adapter;
        target.Free = false;
        return target;
    }

    /// <summary>Makes a slot free; its cells stay until they are needed.</summary>
    public void Return(Slot slot)
    {
        if (!keep) Shorten(slot, 0);
        slot.Free = true;
        slot.LastUse = ++uses;
    }

    /// <summary>Drops what was computed with an adapter that no request can have any more.</summary>
    public void Forget(EngineAdapter adapter)
    {
        foreach (var slot in slots.Where(slot => slot.Free && slot.Adapter == adapter)) Shorten(slot, 0);
    }

    /// <summary>Drops everything: what the cache holds after a failure is unknown.</summary>
    public void Clear()
    {
        context.Clear();
        foreach (var slot in slots) slot.Tokens.Clear();
    }

    private (Slot? Slot, int Length) LongestPrefix(ReadOnlySpan<int> prompt, EngineAdapter adapter)
    {
        (Slot? Slot, int Length) longest = (null, 0);
        if (!keep) return longest;
        foreach (var slot in slots.Where(slot => slot.Adapter == adapter))
        {
            // The last token is always computed: its logits give the first of the completion.
            var length = Math.Min(prompt.Length - 1, prompt.CommonPrefixLength(CollectionsMarshal.AsSpan(slot.Tokens)));
            if (length > longest.Length || (length == longest.Length && length > 0 && slot.Free)) longest = (slot, length);
        }
        return longest;
    }

    // In place if that keeps most of what the slot has; else what it has is worth more for another request, and the longest unused goes.
    private Slot Target(Slot? source, int length)
    {
        if (source is { Free: true } && length * 2 >= source.Tokens.Count) return source;
        var free = slots.Where(slot => slot.Free).ToArray();
        return free.Where(slot => slot != source).OrderBy(slot => slot.Tokens.Count > 0).ThenBy(slot => slot.LastUse).FirstOrDefault() ?? free[0];
    }

    private void Copy(Slot source, Slot target)
    {
        context.CopySequence(source.Index, target.Index);
        target.Tokens.Clear();
        target.Tokens.AddRange(source.Tokens);
    }

    private void Shorten(Slot slot, int length)
    {
        if (slot.Tokens.Count == length) return;
        if (!context.Truncate(slot.Index, length)) length = 0;
        slot.Tokens.RemoveRange(length, slot.Tokens.Count - length);
    }
}
