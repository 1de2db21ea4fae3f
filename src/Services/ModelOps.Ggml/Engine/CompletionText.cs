using System.Runtime.InteropServices;
using System.Text;

namespace ModelOps.Ggml;

/// <summary>
/// Turns the bytes of tokens into text that is safe to send: whole characters, and nothing that is, or may yet become, a stop text.
/// </summary>
internal sealed class CompletionText(IReadOnlyList<string> stops)
{
    private readonly byte[][] stops = [.. stops.Select(Encoding.UTF8.GetBytes)];
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder(); // holds the beginning of a character back itself
    private readonly List<byte> held = [];

    /// <summary>Whether a stop text was found; the text is complete then.</summary>
    public bool Stopped { get; private set; }

    /// <returns>What can be sent now.</returns>
    public string Append(ReadOnlySpan<byte> bytes)
    {
        held.AddRange(bytes);
        var pending = CollectionsMarshal.AsSpan(held);
        var stop = FirstStop(pending);
        Stopped = stop >= 0;
        var text = Stopped ? Decode(pending[..stop], flush: true) : Release(pending.Length - HeldBack(pending));
        if (Stopped) held.Clear();
        return text;
    }

    /// <returns>What was held back, once no more bytes come.</returns>
    public string Flush()
    {
        var text = Decode(CollectionsMarshal.AsSpan(held), flush: true);
        held.Clear();
        return text;
    }

    private string Release(int count)
    {
        var text = Decode(CollectionsMarshal.AsSpan(held)[..count], flush: false);
        held.RemoveRange(0, count);
        return text;
    }

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        Span<char> characters = stackalloc char[256];
        var capacity = decoder.GetCharCount(bytes, flush);
        if (capacity > characters.Length) characters = new char[capacity];
        return new string(characters[..decoder.GetChars(bytes, characters, flush)]);
    }

    private int FirstStop(ReadOnlySpan<byte> pending)
    {
        var first = -1;
        foreach (var stop in stops)
        {
            var at = pending.IndexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) first = at;
        }
        return first;
    }

    /// <returns>The length of the longest end of <paramref name="pending"/> with which a stop text begins.</returns>
    private int HeldBack(ReadOnlySpan<byte> pending)
    {
        var longest = 0;
        foreach (var stop in stops)
            for (var length = Math.Min(stop.Length - 1, pending.Length); length > longest; length--)
                if (pending.EndsWith(stop.AsSpan(0, length))) longest = length;
        return longest;
    }
}
