using System.Runtime.InteropServices;
using System.Text;

namespace ModelOps.ModelFiles.Tokenizers;

public sealed record BpeTrainerOptions
{
    /// <summary>Special tokens and the 256 bytes included; fewer result where the texts hold no more pairs.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>They get the first ids, in this order.</summary>
    public IReadOnlyList<string> SpecialTokens { get; init; } = [];

    /// <summary>How texts are cut before pairs are counted.</summary>
    /// <value>GPT-2's byte level split by default.</value>
    public IReadOnlyList<PreTokenizerStep> PreTokenizer { get; init; } = [new PreTokenizerStep.ByteLevel(AddPrefixSpace: false, UseRegex: true)];

    /// <summary>Unicode normalization forms that texts are brought into first, when training and when encoding.</summary>
    public IReadOnlyList<NormalizationForm> Normalizer { get; init; } = [];

    /// <summary>A pair must be seen this often to become a token.</summary>
    /// <value>The default value is 2.</value>
    public int MinimumFrequency { get; init; } = 2;

    /// <summary>Goes into tokenizer_config.json unchanged.</summary>
    public TokenizerConfig Config { get; init; } = new();
}

/// <summary>A tokenizer as it was trained, with the configuration that belongs to it.</summary>
public sealed record TrainedTokenizer(TokenizerJson Definition, TokenizerConfig Config)
{
    /// <summary>Writes tokenizer.json and tokenizer_config.json into <paramref name="folder"/>, which is created if missing.</summary>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        Definition.Save(Path.Combine(folder, "tokenizer.json"));
        Config.Save(folder);
    }
}

/// <summary>
/// Trains byte-level BPE (Sennrich et al. 2016): the most frequent pair of neighbouring symbols becomes a symbol, again and again.
/// Of equally frequent pairs the lexicographically first is taken, so that the same texts always give the same vocabulary.
/// </summary>
public static class BpeTrainer
{
    private const int ByteCount = 256;

    /// <exception cref="ArgumentException">The options ask for something that cannot be; the message names everything.</exception>
    public static TrainedTokenizer Train(IEnumerable<string> texts, BpeTrainerOptions options, CancellationToken cancellationToken = default)
    {
        Validate(options);
        var symbols = new List<string>(options.SpecialTokens);
        symbols.AddRange(Enumerable.Range(0, ByteCount).Select(value => ByteLevelAlphabet.CharacterOf((byte)value).ToString()).Order(StringComparer.Ordinal));
        var words = CountWords(texts, options, cancellationToken);
        var merges = new MergeLearner(words, symbols).Learn(options.VocabularySize, options.MinimumFrequency, cancellationToken);
        var definition = new TokenizerJson
        {
            Vocabulary = symbols.Select((symbol, id) => (symbol, id)).ToDictionary(entry => entry.symbol, entry => entry.id),
            Merges = merges,
            AddedTokens = [.. options.SpecialTokens.Select((token, id) => new AddedToken(id, token) { Special = true })],
            Normalizer = [.. options.Normalizer.Select(form => new NormalizerStep.Canonical(form))],
            PreTokenizer = options.PreTokenizer,
        };
        return new TrainedTokenizer(definition, options.Config);
    }

    private static void Validate(BpeTrainerOptions options)
    {
        var faults = new List<string>();
        var smallest = ByteCount + options.SpecialTokens.Count;
        if (options.VocabularySize < smallest)
            faults.Add($"VocabularySize {options.VocabularySize} is under {smallest}, the bytes and special tokens alone");
        if (options.MinimumFrequency < 1)
            faults.Add($"MinimumFrequency {options.MinimumFrequency} is under 1");
        if (options.SpecialTokens.Any(token => token.Length < 2))
            faults.Add("SpecialTokens holds one of fewer than two characters, which could be a byte's symbol");
        if (options.SpecialTokens.Distinct().Count() < options.SpecialTokens.Count)
            faults.Add("SpecialTokens holds one twice");
        if (options.PreTokenizer is not [.., PreTokenizerStep.ByteLevel] || options.PreTokenizer.OfType<PreTokenizerStep.ByteLevel>().Count() > 1)
            faults.Add("PreTokenizer does not end with its one ByteLevel step");
        if (faults.Count > 0)
            throw new ArgumentException($"Cannot train a tokenizer: {string.Join("; ", faults)}.", nameof(options));
    }

    /// <summary>Special tokens in the texts are left out: they never take part in merges.</summary>
    private static Dictionary<string, int> CountWords(IEnumerable<string> texts, BpeTrainerOptions options, CancellationToken cancellationToken)
    {
        var matcher = new AddedTokenMatcher(options.SpecialTokens.Select((token, id) => new AddedToken(id, token)));
        var preTokenizer = new PreTokenizer(options.PreTokenizer);
        var words = new Dictionary<string, int>();
        var bySpan = words.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (var text in texts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (var (stretch, token) in matcher.Cut(text.AsMemory()))
            {
                if (token is not null)
                    continue;
                var normalized = options.Normalizer.Aggregate(stretch, (current, form) => CanonicalNormalizer.Normalize(current.ToString(), form).AsMemory());
                foreach (var piece in preTokenizer.Cut(normalized, atStart: false))
                    CollectionsMarshal.GetValueRefOrAddDefault(bySpan, piece.Span, out _)++;
            }
        }
        return words;
    }
}
