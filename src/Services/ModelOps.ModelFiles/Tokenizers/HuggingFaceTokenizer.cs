using System.Collections.Concurrent;
using System.Text;

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
    private readonly BpeModel model;
    private readonly TokenDecoder decoder;
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
            definition.AddedTokens.Where(token => token.Normalized)
                .Select(token => token with { Content = Normalize(token.Content) })
                .Where(token => token.Content.Length > 0));
        preTokenizer = new PreTokenizer(definition.PreTokenizer);
        model = new BpeModel(definition);
        decoder = new TokenDecoder(definition);
        specialIds = [.. definition.AddedTokens.Where(token => token.Special).Select(token => token.Id)];
        cacheBySpan = cache.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public TokenizerJson Definition { get; }

    public TokenizerConfig Config { get; }

    public string? BosToken => Config.BosToken;

    public string? EosToken => Config.EosToken;

    public string? PadToken => Config.PadToken;

    /// <summary>The highest id plus one.</summary>
    public int VocabularySize => Definition.VocabularySize;

    /// <param name="modelFolder">A folder in Hugging Face layout.</param>
    /// <inheritdoc cref="TokenizerJson.Load" path="exception"/>
    public static HuggingFaceTokenizer Load(string modelFolder) =>
        new(LoadDefinition(modelFolder), TokenizerConfig.Load(modelFolder));

    /// <summary>What tokenizer.json says, or tokenizer.model where there is none.</summary>
    /// <inheritdoc cref="TokenizerJson.Load" path="exception"/>
    public static TokenizerJson LoadDefinition(string modelFolder)
    {
        var json = Path.Combine(modelFolder, TokenizerJson.FileName);
        var sentencePiece = Path.Combine(modelFolder, SentencePieceModel.FileName);
        return File.Exists(json) || !File.Exists(sentencePiece) ? TokenizerJson.Load(json) : SentencePieceModel.Load(sentencePiece);
    }

    /// <summary>Added tokens in the text become their ids; nothing is put before or after. Half surrogate pairs encode as U+FFFD.</summary>
    public int[] Encode(string text)
    {
        var result = new List<int>(text.Length / 3 + 1);
        var atStart = true;
        foreach (var (stretch, token) in rawMatcher.Cut(text.AsMemory()))
        {
            if (token is not null)
                result.Add(token.Id);
            else
                EncodeNormalized(Normalize(stretch), atStart, result);
            atStart = false;
        }
        return [.. result];
    }

    /// <summary>Bytes that are not UTF-8, such as a character cut in the middle, decode as U+FFFD: one, or one for each byte where bytes are a fallback.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative or not under <see cref="VocabularySize"/>.</exception>
    public string Decode(ReadOnlySpan<int> tokens, bool skipSpecialTokens = false)
    {
        foreach (var id in tokens)
        {
            if ((uint)id >= (uint)VocabularySize)
                throw new ArgumentOutOfRangeException(nameof(tokens), id, $"The vocabulary has {VocabularySize} tokens.");
        }
        return decoder.Decode(tokens, skipSpecialTokens ? specialIds : []);
    }

    /// <returns>Null if there is no such token.</returns>
    public int? IdOf(string token) => ids.TryGetValue(token, out var id) ? id : null;

    private void EncodeNormalized(ReadOnlyMemory<char> text, bool atStart, List<int> result)
    {
        foreach (var (stretch, token) in normalizedMatcher.Cut(text))
        {
            if (token is not null)
            {
                result.Add(token.Id);
            }
            else
            {
                foreach (var piece in preTokenizer.Cut(stretch, atStart))
                    EncodePiece(piece.Span, result);
            }
            atStart = false;
        }
    }

    private void EncodePiece(ReadOnlySpan<char> piece, List<int> result)
    {
        if (cacheBySpan.TryGetValue(piece, out var known))
        {
            result.AddRange(known);
            return;
        }
        var start = result.Count;
        model.Encode(Definition.IsByteLevel ? ToSymbols(piece) : piece, result);
        if (piece.Length <= MaximumCachedLength && cache.Count < MaximumCachedPieces)
            cacheBySpan.TryAdd(piece, [.. result.Skip(start)]);
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

    private string Normalize(string text) => Definition.Normalizer.Aggregate(text, (current, step) => step.Apply(current));
}
