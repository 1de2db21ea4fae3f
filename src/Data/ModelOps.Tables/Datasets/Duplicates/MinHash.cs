using System.Numerics;
using System.Runtime.InteropServices;

namespace ModelOps.Tables.Datasets.Duplicates;

/// <summary>
/// MinHash (Broder 1997) of a text's word 3-grams, case ignored, punctuation left out: 128 permutations h_i(x) = a_i x + b_i mod 2^32 with fixed
/// seeds, of each minimum 8 bits kept (b-bit minwise hashing, Li and König 2010). The share of equal bytes estimates the Jaccard similarity
/// of two texts with a standard error below 0.05.
/// </summary>
internal static class MinHash
{
    public const int Permutations = 128;
    public const int ShingleWords = 3;

    /// <summary>Bands of 8 bytes: two texts of similarity s share at least one with probability 1 - (1 - s^8)^16, 0.95 at 0.8.</summary>
    public const int Bands = Permutations / sizeof(ulong);

    private const ulong Seed = 0x6D6F64656C6F7073;
    private const double ChanceAgreement = 1.0 / 256;
    private static readonly uint[] factors = Constants(Seed, odd: true);
    private static readonly uint[] offsets = Constants(~Seed, odd: false);
    private static readonly char[] asciiLetters = [.. Enumerable.Range(0, 128).Select(letter => Fold((char)letter))]; // most text is this

    /// <returns>null: the texts have no word.</returns>
    public static ulong[]? Sign(IEnumerable<string> texts)
    {
        var shingles = Shingles(texts);
        if (shingles.Count == 0) return null;
        var minima = Minima(CollectionsMarshal.AsSpan(shingles));
        var signature = new ulong[Bands];
        var bytes = MemoryMarshal.AsBytes(signature.AsSpan());
        for (var i = 0; i < Permutations; i++) bytes[i] = (byte)((minima[i] * 0x9E3779B1) >> 24);
        return signature;
    }

    /// <returns>Estimate of the Jaccard similarity, 0 to 1.</returns>
    public static double Similarity(ReadOnlySpan<ulong> one, ReadOnlySpan<ulong> other)
    {
        var a = MemoryMarshal.AsBytes(one);
        var b = MemoryMarshal.AsBytes(other);
        var equal = 0;
        for (var i = 0; i < Permutations; i++)
            if (a[i] == b[i]) equal++;
        return Math.Clamp((((double)equal / Permutations) - ChanceAgreement) / (1 - ChanceAgreement), 0, 1);
    }

    /// <summary>Hashes of the word 3-grams; of a shorter text, of all its words together.</summary>
    public static List<ulong> Shingles(IEnumerable<string> texts)
    {
        var words = new List<ulong>(256);
        foreach (var text in texts) AddWords(text, words);
        var shingles = new List<ulong>(words.Count);
        for (var i = 0; i + ShingleWords <= words.Count; i++) shingles.Add(Mix((words[i] * 3) + (words[i + 1] * 5) + (words[i + 2] * 7)));
        if (words.Count is 1 or 2) shingles.Add(Mix((words[0] * 3) + (words[^1] * 5)));
        return shingles;
    }

    /// <summary>A run of letters and digits is a word; in scripts without spaces a letter is.</summary>
    private static void AddWords(string text, List<ulong> words)
    {
        const ulong Empty = 0xCBF29CE484222325; // FNV-1a
        const ulong Prime = 0x100000001B3;
        var hash = Empty;
        foreach (var letter in text)
        {
            var folded = letter < asciiLetters.Length ? asciiLetters[letter] : Fold(letter);
            if (folded != '\0' && !IsWord(letter))
            {
                hash = (hash ^ folded) * Prime;
                continue;
            }
            if (hash != Empty) words.Add(hash);
            hash = Empty;
            if (folded != '\0') words.Add((Empty ^ folded) * Prime);
        }
        if (hash != Empty) words.Add(hash);
    }

    /// <returns>The letter or digit in lower case; NUL: it is neither.</returns>
    private static char Fold(char letter) => char.IsLetterOrDigit(letter) ? char.ToLowerInvariant(letter) : '\0';

    private static bool IsWord(char letter) => letter is (>= '\u0E00' and <= '\u0EFF') or (>= '\u3040' and <= '\u9FFF');

    private static uint[] Minima(ReadOnlySpan<ulong> shingles)
    {
        var minima = new uint[Permutations];
        for (var i = 0; i < Permutations; i += Vector<uint>.Count)
        {
            var (factor, offset) = (new Vector<uint>(factors, i), new Vector<uint>(offsets, i));
            var least = new Vector<uint>(uint.MaxValue);
            foreach (var shingle in shingles) least = Vector.Min(least, (new Vector<uint>((uint)(shingle >> 32)) * factor) + offset);
            least.CopyTo(minima, i);
        }
        return minima;
    }

    private static uint[] Constants(ulong seed, bool odd)
    {
        var constants = new uint[Permutations];
        for (var i = 0; i < Permutations; i++)
            constants[i] = (uint)(Mix(seed + ((ulong)i * 0x9E3779B97F4A7C15)) >> 32) | (odd ? 1u : 0u);
        return constants;
    }

    /// <summary>The finalizer of MurmurHash3.</summary>
    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCD;
        x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53;
        return x ^ (x >> 33);
    }
}
