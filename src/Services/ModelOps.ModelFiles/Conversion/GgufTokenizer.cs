using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.ModelFiles.Conversion;

/// <summary>A BPE tokenizer as GGUF metadata: llama.cpp's "gpt2" for byte-level ones, its "llama" for SentencePiece's.</summary>
internal static class GgufTokenizer
{
    // llama.cpp's llama_token_type.
    private const int Normal = 1;
    private const int Unknown = 2;
    private const int Control = 3;
    private const int UserDefined = 4;
    private const int Unused = 5;
    private const int Byte = 6;

    /// <exception cref="InvalidModelFileException">Names everything that llama.cpp could not reproduce.</exception>
    public static IEnumerable<KeyValuePair<string, object>> ToMetadata(ModelFolder model)
    {
        var (tokenizer, config) = Load(model);
        var errors = new List<string>();
        var tokens = ListTokens(tokenizer, model.Config.VocabularySize, errors);
        var ids = tokens.Index().DistinctBy(entry => entry.Item.Text).ToDictionary(entry => entry.Item.Text, entry => entry.Index);
        var splitting = tokenizer.IsByteLevel ? ByteLevelMetadata(tokenizer, errors) : GgufSentencePiece.ToMetadata(tokenizer, tokens, model.ChatTemplate is not null, errors);
        var bos = IdOf(config.BosToken, "bos_token", ids, errors) ?? model.Config.BosTokenId;
        var eos = IdOf(config.EosToken, "eos_token", ids, errors) ?? FirstOrNull(model.EosTokenIds);
        var pad = IdOf(config.PadToken, "pad_token", ids, errors);
        var addBos = Adds(tokenizer.TokensBefore, bos, "before", ids, errors);
        var addEos = Adds(tokenizer.TokensAfter, eos, "after", ids, errors);
        if (errors.Count > 0) throw new InvalidModelFileException(model.TokenizerPath, errors);

        foreach (var entry in splitting) yield return entry;
        yield return new("tokenizer.ggml.tokens", tokens.Select(token => token.Text).ToArray());
        yield return new("tokenizer.ggml.token_type", tokens.Select(token => TypeOf(token.Kind)).ToArray());
        if (bos is { } bosId) yield return new("tokenizer.ggml.bos_token_id", (uint)bosId);
        if (eos is { } eosId) yield return new("tokenizer.ggml.eos_token_id", (uint)eosId);
        // A second id that ends generation, as chat models have: llama.cpp stops at it as it does at eos.
        if (FirstOrNull(model.EosTokenIds.Where(id => id != eos)) is { } eotId)
            yield return new("tokenizer.ggml.eot_token_id", (uint)eotId);
        if (pad is { } padId) yield return new("tokenizer.ggml.padding_token_id", (uint)padId);
        yield return new("tokenizer.ggml.add_bos_token", addBos);
        yield return new("tokenizer.ggml.add_eos_token", addEos);
        if (model.ChatTemplate is { } template) yield return new("tokenizer.chat_template", template);
    }

    private static Dictionary<string, object> ByteLevelMetadata(TokenizerJson tokenizer, List<string> errors)
    {
        var preTokenizer = GgufPreTokenizer.NameOf(tokenizer, errors);
        if (tokenizer.Merges.Any(
            merge => merge.Left.Contains(' ', StringComparison.Ordinal) || merge.Right.Contains(' ', StringComparison.Ordinal)))
            errors.Add("a merge with a space in it cannot be written in GGUF");
        return new()
        {
            ["tokenizer.ggml.model"] = "gpt2",
            ["tokenizer.ggml.pre"] = preTokenizer ?? "",
            ["tokenizer.ggml.merges"] = tokenizer.Merges.Select(merge => $"{merge.Left} {merge.Right}").ToArray(),
        };
    }

    private static (TokenizerJson Tokenizer, TokenizerConfig Config) Load(ModelFolder model)
    {
        try
        {
            return (HuggingFaceTokenizer.LoadDefinition(model.Path), TokenizerConfig.Load(model.Path));
        }
        catch (Exception exception) when (exception is InvalidDataException or NotSupportedException)
        {
            throw new InvalidModelFileException(model.Path, exception.Message, exception);
        }
    }

    /// <summary>A token for each row of the embedding.</summary>
    private static List<VocabularyToken> ListTokens(TokenizerJson tokenizer, int vocabularySize, List<string> errors)
    {
        if (tokenizer.VocabularySize > vocabularySize)
            errors.Add($"the tokenizer has {tokenizer.VocabularySize} tokens, the model embeds {vocabularySize}");
        var tokens = tokenizer.Tokens.ToList();
        for (var id = tokens.Count; id < vocabularySize; id++) tokens.Add(new VocabularyToken($"[PAD{id}]", TokenKind.Unused));

        // llama.cpp aborts the process on these.
        foreach (var group in tokens.GroupBy(token => token.Text).Where(group => group.Count() > 1))
            errors.Add($"{group.Count()} tokens are \"{group.Key}\"");
        return tokens;
    }

    private static int TypeOf(TokenKind kind) => kind switch
    {
        TokenKind.Control => Control,
        TokenKind.UserDefined => UserDefined,
        TokenKind.Unused => Unused,
        TokenKind.Unknown => Unknown,
        TokenKind.Byte => Byte,
        _ => Normal,
    };

    private static int? IdOf(string? token, string what, Dictionary<string, int> ids, List<string> errors)
    {
        if (token is null) return null;
        if (ids.TryGetValue(token, out var id)) return id;
        errors.Add($"\"{what}\" {token} is not in the vocabulary");
        return null;
    }

    private static bool Adds(IReadOnlyList<string> tokens, int? id, string where, Dictionary<string, int> ids, List<string> errors)
    {
        if (tokens is []) return false;
        if (tokens is [var token] && ids.TryGetValue(token, out var added) && added == id) return true;
        errors.Add($"llama.cpp cannot put {string.Join(" ", tokens)} {where} a text");
        return false;
    }

    private static int? FirstOrNull(IEnumerable<int> ids) => ids.Select(id => (int?)id).FirstOrDefault();
}
