using System.Text.Json;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>A merge of two neighbouring symbols into one; the rules of a vocabulary are ordered, the first wins.</summary>
public readonly record struct MergeRule(string Left, string Right);

/// <summary>A token that is found in the text before anything else is done to it.</summary>
public sealed record AddedToken(int Id, string Content)
{
    /// <summary>Control tokens, which decoding can leave out.</summary>
    public bool Special { get; init; }

    /// <summary>Only matched where no letter, digit or underscore touches it.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Takes the whitespace before it along.</summary>
    public bool LeftStrip { get; init; }

    /// <summary>Takes the whitespace after it along.</summary>
    public bool RightStrip { get; init; }

    /// <summary>Matched in the normalized text rather than in the text as given.</summary>
    public bool Normalized { get; init; }
}

public enum TokenKind
{
    Normal,

    /// <summary>An added token that is special: never produced by ordinary text of a model.</summary>
    Control,

    /// <summary>An added token that is not special.</summary>
    UserDefined,

    /// <summary>An id that no token has; its text is a made-up name.</summary>
    Unused,

    /// <summary>What stands for characters that no token stands for.</summary>
    Unknown,

    /// <summary>A byte of a character that no token stands for.</summary>
    Byte,
}

/// <param name="Text">As the vocabulary has it: normal tokens in <see cref="ByteLevelAlphabet"/> or with U+2581 for spaces, added ones as they stand in text.</param>
public readonly record struct VocabularyToken(string Text, TokenKind Kind);

/// <summary>What a Hugging Face tokenizer.json says, for BPE tokenizers of both kinds: GPT-2's over bytes and SentencePiece's over characters.</summary>
public sealed class TokenizerJson
{
    public const string FileName = "tokenizer.json";

    private readonly Lazy<IReadOnlyList<VocabularyToken>> tokens;

    public TokenizerJson() => tokens = new(ListTokens);

    /// <summary>The model's own tokens. Added tokens stand here only if the file repeats them here.</summary>
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    public required IReadOnlyList<MergeRule> Merges { get; init; }

    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>What is done to a text before it is cut, in order.</summary>
    public IReadOnlyList<NormalizerStep> Normalizer { get; init; } = [];

    /// <summary>The steps in order; <see cref="PreTokenizerStep.ByteLevel"/> only as the last. None: a text is one piece.</summary>
    public required IReadOnlyList<PreTokenizerStep> PreTokenizer { get; init; }

    /// <summary>Whether tokens are bytes in <see cref="ByteLevelAlphabet"/>, and not characters with U+2581 for spaces.</summary>
    public bool IsByteLevel => PreTokenizer is [.., PreTokenizerStep.ByteLevel];

    /// <summary>A character that no token stands for becomes the tokens of its bytes, such as <c>&lt;0x0A&gt;</c>.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>What a character becomes that no token stands for; null: nothing.</summary>
    public string? UnknownToken { get; init; }

    /// <summary>Whether neighbouring unknown characters become one <see cref="UnknownToken"/>.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>Whether decoding takes away the space that encoding puts before a text. Never for byte-level tokenizers.</summary>
    public bool StripsLeadingSpace { get; init; }

    /// <summary>A piece that is a token as a whole is that token, whatever the merges make of it (Llama 3).</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>Tokens that Hugging Face's post-processor puts before a text, usually the beginning-of-sequence token.</summary>
    public IReadOnlyList<string> TokensBefore { get; init; } = [];

    /// <summary>Tokens that Hugging Face's post-processor puts after a text.</summary>
    public IReadOnlyList<string> TokensAfter { get; init; } = [];

    /// <summary>Every id from 0 to <see cref="VocabularySize"/>; an id without a token is named <c>[PADid]</c>.</summary>
    public IReadOnlyList<VocabularyToken> Tokens => tokens.Value;

    /// <summary>The highest id plus one, holes included.</summary>
    public int VocabularySize => Tokens.Count;

    /// <exception cref="InvalidDataException">The file is not a well-formed tokenizer.json; the message names it and every fault.</exception>
    /// <exception cref="NotSupportedException">The file needs parts that are not implemented; the message names each.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static TokenizerJson Load(string path) => Parse(File.ReadAllBytes(path), path);

    /// <inheritdoc cref="Load"/>
    /// <param name="name">What error messages call the file.</param>
    public static TokenizerJson Parse(ReadOnlyMemory<byte> utf8, string name)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8);
            return new TokenizerJsonReader(name).Read(document.RootElement);
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"{name} is not JSON: {exception.Message}", exception);
        }
        catch (InvalidOperationException exception) // a string that escapes half a surrogate pair
        {
            throw new InvalidDataException($"{name} holds a string that is not Unicode text: {exception.Message}", exception);
        }
    }

    /// <summary>Writes the file as Hugging Face's tokenizers library writes it.</summary>
    public void Save(string path)
    {
        using var stream = File.Create(path);
        TokenizerJsonWriter.Write(this, stream);
    }

    private VocabularyToken[] ListTokens()
    {
        var size = Vocabulary.Values.Concat(AddedTokens.Select(token => token.Id)).DefaultIfEmpty(-1).Max() + 1;
        var result = new VocabularyToken[size];
        foreach (var (text, id) in Vocabulary)
            result[id] = new VocabularyToken(text, TokenKind.Normal);
        foreach (var token in AddedTokens)
            result[token.Id] = new VocabularyToken(token.Content, token.Special ? TokenKind.Control : TokenKind.UserDefined);
        if (ByteFallback)
        {
            foreach (ref var token in result.AsSpan())
                token = token.Kind == TokenKind.Normal && token.Text is not null && BpeModel.TryByteOf(token.Text, out _) ? token with { Kind = TokenKind.Byte } : token;
        }
        if (UnknownToken is not null && Vocabulary.TryGetValue(UnknownToken, out var unknown))
            result[unknown] = result[unknown] with { Kind = TokenKind.Unknown };
        for (var id = 0; id < size; id++)
        {
            if (result[id].Text is null)
                result[id] = new VocabularyToken($"[PAD{id}]", TokenKind.Unused);
        }
        return result;
    }
}
