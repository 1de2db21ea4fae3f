using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.ModelFiles.Conversion;

/// <summary>
/// A tokenizer of SentencePiece's kind as llama.cpp has it: scores instead of merge rules. It merges any two neighbours that make a token,
/// the token of the highest score first, so that the rules must say the same.
/// </summary>
internal static class GgufSentencePiece
{
    private const int MaximumListedErrors = 3;

    /// <param name="chats">Whether texts are chats, which begin with a special token, rather than plain.</param>
    /// <param name="errors">Gets everything that llama.cpp could not reproduce.</param>
    public static Dictionary<string, object> ToMetadata(
        TokenizerJson tokenizer, IReadOnlyList<VocabularyToken> tokens, bool chats, List<string> errors)
    {
        if (tokenizer.IgnoreMerges) errors.Add("llama.cpp cannot ignore merges with a tokenizer of SentencePiece's kind");
        var missing = Enumerable.Range(0, 256).Select(value => BpeModel.ByteToken((byte)value)).Where(token => !tokenizer.Vocabulary.ContainsKey(token)).ToArray();
        if (!tokenizer.ByteFallback || missing is not [])
            errors.Add($"llama.cpp needs a token for each byte{(missing is [] ? "" : $"; {missing[0]} is missing")}");
        var metadata = new Dictionary<string, object>
        {
            ["tokenizer.ggml.model"] = "llama",
            ["tokenizer.ggml.pre"] = "default",
            ["tokenizer.ggml.scores"] = Scores(tokenizer, tokens, errors),
            ["tokenizer.ggml.add_space_prefix"] = AddsSpacePrefix(tokenizer, chats, errors),
        };
        if (tokenizer.UnknownToken is { } unknown && tokenizer.Vocabulary.TryGetValue(unknown, out var id))
            metadata["tokenizer.ggml.unknown_token_id"] = (uint)id;
        return metadata;
    }

    private static bool AddsSpacePrefix(TokenizerJson tokenizer, bool chats, List<string> errors)
    {
        const string Space = "\u2581";
        switch (tokenizer.Normalizer, tokenizer.PreTokenizer)
        {
            case ([NormalizerStep.Prepend(Space), NormalizerStep.Replace(" ", Space)], []):
                return true;
            case ([NormalizerStep.Replace(" ", Space)], [] or [PreTokenizerStep.Split { Pattern: " " or @"\ " }]): // the split finds no space any more
                return false;
            // llama.cpp puts a space after every special token too. A chat begins with one and then takes none; plain text has none inside.
            case ([], [PreTokenizerStep.Metaspace { Prepend: PrependScheme.First, Cuts: false }]):
                return !chats;
            case ([], [PreTokenizerStep.Metaspace { Prepend: PrependScheme.Never, Cuts: false }]):
                return false;
            default:
                errors.Add($"llama.cpp cannot prepare text by {string.Join(" + ", tokenizer.Normalizer.Cast<object>().Concat(tokenizer.PreTokenizer))}");
                return false;
        }
    }

    /// <summary>Minus the place of a token among the tokens that merges make; 0 for those that none makes.</summary>
    private static float[] Scores(TokenizerJson tokenizer, IReadOnlyList<VocabularyToken> tokens, List<string> errors)
    {
        var scores = new float[tokens.Count];
        var rules = tokenizer.Merges.ToHashSet();
        var scored = new HashSet<string>();
        var faults = new List<string>();
        string? current = null;
        foreach (var merge in tokenizer.Merges)
        {
            var text = merge.Left + merge.Right;
            if (text == current) continue;
            current = text;
            if (scored.Add(text)) scores[tokenizer.Vocabulary[text]] = -scored.Count;
            else faults.Add($"the rules that make \"{text}\" do not stand together");
        }

        foreach (var text in tokenizer.Vocabulary.Keys)
        {
            for (var cut = 1; cut < text.Length; cut++)
            {
                var rule = new MergeRule(text[..cut], text[cut..]);
                if (tokenizer.Vocabulary.ContainsKey(rule.Left) && tokenizer.Vocabulary.ContainsKey(rule.Right) && !rules.Contains(rule)
                    && IsMerged(tokens[tokenizer.Vocabulary[text]]))
                    faults.Add($"llama.cpp merges \"{rule.Left}\" and \"{rule.Right}\", this tokenizer does not");
            }
        }

        errors.AddRange(faults.Take(MaximumListedErrors));
        if (faults.Count > MaximumListedErrors) errors.Add($"and {faults.Count - MaximumListedErrors} more differences between its merge rules and scores");
        return scores;
    }

    private static bool IsMerged(VocabularyToken token) => token.Kind is TokenKind.Normal or TokenKind.UserDefined;
}
