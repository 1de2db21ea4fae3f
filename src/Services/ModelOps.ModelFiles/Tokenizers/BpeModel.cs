using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>
/// Byte-pair encoding of one piece (Sennrich et al. 2016): of all neighbours the pair whose rule stands first is merged, the leftmost of
/// equals, until no rule fits. O(n log n), because SentencePiece's way of tokenizing does not cut texts into words.
/// </summary>
internal sealed class BpeModel
{
    private const int Dead = -1;

    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> bySpan;
    private readonly Dictionary<long, (int Rank, int Id)> merges = [];
    private readonly int[]? byteIds;
    private readonly int? unknownId;
    private readonly bool fusesUnknown;
    private readonly bool ignoresMerges;

    public BpeModel(TokenizerJson definition)
    {
        var lookup = new Dictionary<string, int>(definition.Vocabulary);
        bySpan = lookup.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (var (rank, merge) in definition.Merges.Index())
            merges.TryAdd(Pair(lookup[merge.Left], lookup[merge.Right]), (rank, lookup[merge.Left + merge.Right]));
        if (definition.ByteFallback)
            byteIds = [.. Enumerable.Range(0, 256).Select(value => lookup.GetValueOrDefault(ByteToken((byte)value), Dead))];
        unknownId = definition.UnknownToken is { } unknown && lookup.TryGetValue(unknown, out var id) ? id : null;
        (fusesUnknown, ignoresMerges) = (definition.FusesUnknown, definition.IgnoreMerges);
    }

    /// <summary>The token that stands for a byte of a character that the vocabulary lacks, such as <c>&lt;0x0A&gt;</c>.</summary>
    public static string ByteToken(byte value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    public static bool TryByteOf(string token, out byte value)
    {
        value = 0;
        return token is ['<', '0', 'x', _, _, '>'] && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    public void Encode(ReadOnlySpan<char> piece, List<int> result)
    {
        if (ignoresMerges && bySpan.TryGetValue(piece, out var whole))
        {
            result.Add(whole);
            return;
        }
        var symbols = ToSymbols(piece);
        Merge(symbols);
        foreach (var symbol in symbols)
        {
            if (symbol.Id != Dead)
                result.Add(symbol.Id);
        }
    }

    private Symbol[] ToSymbols(ReadOnlySpan<char> piece)
    {
        var ids = new List<int>(piece.Length);
        var afterUnknown = false;
        Span<char> text = stackalloc char[2];
        foreach (var rune in piece.EnumerateRunes())
        {
            var known = bySpan.TryGetValue(text[..rune.EncodeToUtf16(text)], out var id);
            if (known)
                ids.Add(id);
            else if (!TryAddBytes(rune, ids) && unknownId is { } unknown && !(fusesUnknown && afterUnknown))
                ids.Add(unknown);
            afterUnknown = ids is [.., var last] && last == unknownId && !known;
        }
        var symbols = new Symbol[ids.Count];
        for (var index = 0; index < symbols.Length; index++)
            symbols[index] = new Symbol { Id = ids[index], Previous = index - 1, Next = index + 1 < symbols.Length ? index + 1 : Dead };
        return symbols;
    }

    private bool TryAddBytes(Rune rune, List<int> ids)
    {
        if (byteIds is null)
            return false;
        Span<byte> utf8 = stackalloc byte[4];
        utf8 = utf8[..rune.EncodeToUtf8(utf8)];
        foreach (var value in utf8)
        {
            if (byteIds[value] == Dead)
                return false;
        }
        foreach (var value in utf8)
            ids.Add(byteIds[value]);
        return true;
    }

    private void Merge(Symbol[] symbols)
    {
        var queue = new PriorityQueue<(int Place, int Left, int Right, int Merged), long>();
        for (var place = 0; place + 1 < symbols.Length; place++)
            Enqueue(place);
        while (queue.TryDequeue(out var candidate, out _))
        {
            ref var left = ref symbols[candidate.Place];
            if (left.Id != candidate.Left || left.Next == Dead || symbols[left.Next].Id != candidate.Right)
                continue; // one of the two has been merged away since
            ref var right = ref symbols[left.Next];
            (left.Id, right.Id, left.Next) = (candidate.Merged, Dead, right.Next);
            if (left.Next != Dead)
            {
                symbols[left.Next].Previous = candidate.Place;
                Enqueue(candidate.Place);
            }
            if (left.Previous != Dead)
                Enqueue(left.Previous);
        }

        void Enqueue(int place)
        {
            var (left, right) = (symbols[place].Id, symbols[symbols[place].Next].Id);
            if (merges.TryGetValue(Pair(left, right), out var merge))
                queue.Enqueue((place, left, right, merge.Id), ((long)merge.Rank << 32) | (uint)place);
        }
    }

    private static long Pair(int left, int right) => ((long)left << 32) | (uint)right;

    [StructLayout(LayoutKind.Auto)]
    private struct Symbol
    {
        public int Id;
        public int Previous;
        public int Next;
    }
}
