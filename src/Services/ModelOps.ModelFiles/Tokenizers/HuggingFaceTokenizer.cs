using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>Encodes and decodes as Hugging Face's tokenizers library does with the same files. Safe to share between threads.</summary>
public sealed class HuggingFaceTokenizer
{
    // Text repeats its words: a bounded memory of what pieces became makes encoding a look-up.
    private const int MaximumCachedPieces = 100_000;
    private const int MaximumCachedLength = 64;

    private readonly Dictionary<string, int> ids;
    private readonly AddedTokenMatcher rawMatcher;
    private readonly AddedTokenMatcher normalizedMatcher;
    private readonly PreTokenizer preTokenizer;
    private readonly BpeTokenizer merger;
    private readonly byte[][] bytesById;
    private readonly HashSet<int> specialIds;
    private readonly ConcurrentDictionary<string, int[]> cache = [];
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> cacheBySpan;

    public HuggingFaceTokenizer(TokenizerJson definition, TokenizerConfig config)
    {
        Definition = definition;
        Config = config;
        ids = new Dictionary<string, int>(definition.Vocabulary);
        foreach (var token in definition.AddedTokens)
            ids[token.Content] = token.Id;
        rawMatcher = new AddedTokenMatcher(definition.AddedTokens.Where(token => !token.Normalized));
        normalizedMatcher = new AddedTokenMatcher(
            definition.AddedTokens.Where(token => token.Normalized).Select(token => token with { Content = Normalize(token.Content) }));
        preTokenizer = new PreTokenizer(definition.PreTokenizer);
        merger = BpeTokenizer.Create(new BpeOptions(definition.Vocabulary)
        {
            Merges = definition.Merges.Select(merge => $"{merge.Left} {merge.Right}"),
        });
        bytesById = [.. definition.Tokens.Select(BytesOf)];
        specialIds = [.. definition.AddedTokens.Where(token => token.Special).Select(token => token.Id)];
        cacheBySpan = cache.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public TokenizerJson Definition { get; }

    public TokenizerConfig Config { get; }

    public string? BosToken => Config.BosToken;

    public string? EosToken => Config.EosToken;

    public string? PadToken => Config.PadToken;

    /// <summary>The highest id plus one.</summary>
    public int VocabularySize => bytesById.Length;

    /// <param name="modelFolder">A folder in Hugging Face layout.</param>
    /// <inheritdoc cref="TokenizerJson.Load" path="exception"/>
    public static HuggingFaceTokenizer Load(string modelFolder) =>
        new(TokenizerJson.Load(Path.Combine(modelFolder, "tokenizer.json")), TokenizerConfig.Load(modelFolder));

    /// <summary>Added tokens in the text become their ids; nothing is put before or after. Half surrogate pairs encode as U+FFFD.</summary>
    public int[] Encode(string text)
    {
        var result = new List<int>(text.Length / 3 + 1);
        foreach (var (stretch, token) in rawMatcher.Cut(text.AsMemory()))
        {
            if (token is not null)
                result.Add(token.Id);
            else
                EncodeNormalized(Normalize(stretch), result);
        }
        return [.. result];
    }

    /// <summary>Bytes that are not UTF-8, such as a character cut in the middle, decode as U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative or not under <see cref="VocabularySize"/>.</exception>
    public string Decode(ReadOnlySpan<int> tokens, bool skipSpecialTokens = false)
    {
        var bytes = new ArrayBufferWriter<byte>(tokens.Length * 4 + 1);
        foreach (var id in tokens)
        {
            if ((uint)id >= (uint)bytesById.Length)
                throw new ArgumentOutOfRangeException(nameof(tokens), id, $"The vocabulary has {bytesById.Length} tokens.");
            if (!skipSpecialTokens || !specialIds.Contains(id))
                bytes.Write(bytesById[id]);
        }
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <returns>Null if there is no such token.</returns>
    public int? IdOf(string token) => ids.TryGetValue(token, out var id) ? id : null;

    private void EncodeNormalized(ReadOnlyMemory<char> text, List<int> result)
    {
        foreach (var (stretch, token) in normalizedMatcher.Cut(text))
        {
            if (token is not null)
            {
                result.Add(token.Id);
                continue;
            }
            foreach (var piece in preTokenizer.Cut(stretch))
                EncodePiece(piece.Span, result);
        }
    }

    private void EncodePiece(ReadOnlySpan<char> piece, List<int> result)
    {
        if (cacheBySpan.TryGetValue(piece, out var known))
        {
            result.AddRange(known);
            return;
        }
        var symbols = ToSymbols(piece);
        int[] encoded = Definition.IgnoreMerges && Definition.Vocabulary.TryGetValue(symbols, out var whole)
            ? [whole]
            : [.. merger.EncodeToIds(symbols, considerPreTokenization: false, considerNormalization: false)];
        if (piece.Length <= MaximumCachedLength && cache.Count < MaximumCachedPieces)
            cacheBySpan.TryAdd(piece, encoded);
        result.AddRange(encoded);
    }

    private static string ToSymbols(ReadOnlySpan<char> piece)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(piece)];
        Encoding.UTF8.GetBytes(piece, bytes);
        return string.Create(bytes.Length, bytes, (symbols, bytes) =>
        {
            for (var index = 0; index < bytes.Length; index++)
                symbols[index] = ByteLevelAlphabet.CharacterOf(bytes[index]);
        });
    }

    private ReadOnlyMemory<char> Normalize(ReadOnlyMemory<char> text) =>
        Definition.Normalizer.Count == 0 ? text : Normalize(text.ToString()).AsMemory();

    private string Normalize(string text) => Definition.Normalizer.Aggregate(text, CanonicalNormalizer.Normalize);

    /// <summary>A token with a character outside the alphabet stands for its own text, as Hugging Face's decoder has it.</summary>
    private static byte[] BytesOf(VocabularyToken token)
    {
        var bytes = new byte[token.Text.Length];
        for (var index = 0; index < bytes.Length; index++)
        {
            if (!ByteLevelAlphabet.TryByteOf(token.Text[index], out bytes[index]))
                return Encoding.UTF8.GetBytes(token.Text);
        }
        return bytes;
    }
}
