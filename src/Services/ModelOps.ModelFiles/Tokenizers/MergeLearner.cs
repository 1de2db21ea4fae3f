using System.Runtime.InteropServices;
using System.Text;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>
/// Learns merges with incremental counts: a merge touches only the words that hold its pair. Counts of pairs that a merge took from
/// stay too high in the heap and are corrected when they come up, which is right because such counts only fall.
/// </summary>
internal sealed class MergeLearner
{
    private readonly List<string> symbols;
    private readonly Dictionary<string, int> ids;
    private readonly List<Word> words = [];
    private readonly Dictionary<(int Left, int Right), long> counts = [];
    private readonly Dictionary<(int Left, int Right), HashSet<int>> places = [];
    private readonly PriorityQueue<(int Left, int Right), Rank> heap;

    /// <param name="wordCounts">How often each piece of text occurs.</param>
    /// <param name="symbols">The symbols to start from, the bytes' among them; learned ones are appended.</param>
    public MergeLearner(Dictionary<string, int> wordCounts, List<string> symbols)
    {
        this.symbols = symbols;
        ids = symbols.Select((symbol, id) => (symbol, id)).ToDictionary(entry => entry.symbol, entry => entry.id);
        heap = new PriorityQueue<(int, int), Rank>(Comparer<Rank>.Create(Compare));
        var byteIds = Enumerable.Range(0, 256).Select(value => ids[ByteLevelAlphabet.CharacterOf((byte)value).ToString()]).ToArray();
        foreach (var (word, count) in wordCounts)
        {
            var wordSymbols = Encoding.UTF8.GetBytes(word).Select(value => byteIds[value]).ToArray();
            if (wordSymbols.Length < 2)
                continue;
            for (var index = 1; index < wordSymbols.Length; index++)
                Count((wordSymbols[index - 1], wordSymbols[index]), count, words.Count);
            words.Add(new Word(wordSymbols, count));
        }
        foreach (var pair in counts.Keys)
            Push(pair);
    }

    public List<MergeRule> Learn(int vocabularySize, int minimumFrequency, CancellationToken cancellationToken)
    {
        var merges = new List<MergeRule>();
        while (symbols.Count < vocabularySize && heap.TryDequeue(out var pair, out var rank))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (counts[pair] != rank.Count)
            {
                Push(pair);
                continue;
            }
            if (rank.Count < minimumFrequency)
                break;
            merges.Add(new MergeRule(symbols[pair.Left], symbols[pair.Right]));
            Merge(pair);
        }
        return merges;
    }

    private void Merge((int Left, int Right) pair)
    {
        var merged = Id(symbols[pair.Left] + symbols[pair.Right]);
        var grown = new HashSet<(int, int)>();
        foreach (var place in places[pair])
            MergeIn(place, pair, merged, grown);
        counts[pair] = 0;
        places.Remove(pair);
        foreach (var changed in grown)
            Push(changed);
    }

    /// <summary>Different pairs can spell the same symbol: "a"+"bc" and "ab"+"c".</summary>
    private int Id(string symbol)
    {
        ref var id = ref CollectionsMarshal.GetValueRefOrAddDefault(ids, symbol, out var known);
        if (!known)
        {
            id = symbols.Count;
            symbols.Add(symbol);
        }
        return id;
    }

    private void MergeIn(int place, (int Left, int Right) pair, int merged, HashSet<(int, int)> grown)
    {
        var word = words[place];
        var old = word.Symbols;
        var (length, index) = (0, 0);
        while (index < word.Length)
        {
            if (index + 1 < word.Length && old[index] == pair.Left && old[index + 1] == pair.Right)
            {
                if (length > 0)
                {
                    Count((old[length - 1], pair.Left), -word.Count, place);
                    Count((old[length - 1], merged), word.Count, place);
                    grown.Add((old[length - 1], merged));
                }
                if (index + 2 < word.Length)
                {
                    Count((pair.Right, old[index + 2]), -word.Count, place);
                    Count((merged, old[index + 2]), word.Count, place);
                    grown.Add((merged, old[index + 2]));
                }
                old[length++] = merged;
                index += 2;
            }
            else
            {
                old[length++] = old[index++];
            }
        }
        word.Length = length;
    }

    private void Count((int Left, int Right) pair, long change, int place)
    {
        CollectionsMarshal.GetValueRefOrAddDefault(counts, pair, out _) += change;
        if (change < 0)
            return;
        ref var found = ref CollectionsMarshal.GetValueRefOrAddDefault(places, pair, out _);
        (found ??= []).Add(place);
    }

    private void Push((int Left, int Right) pair)
    {
        if (counts[pair] > 0)
            heap.Enqueue(pair, new Rank(counts[pair], pair.Left, pair.Right));
    }

    private int Compare(Rank one, Rank other)
    {
        var order = other.Count.CompareTo(one.Count);
        if (order == 0)
            order = string.CompareOrdinal(symbols[one.Left], symbols[other.Left]);
        return order != 0 ? order : string.CompareOrdinal(symbols[one.Right], symbols[other.Right]);
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Rank(long Count, int Left, int Right);

    private sealed class Word(int[] symbols, int count)
    {
        public int[] Symbols => symbols;

        public int Count => count;

        public int Length { get; set; } = symbols.Length;
    }
}
