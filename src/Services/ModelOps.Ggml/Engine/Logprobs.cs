namespace ModelOps.Ggml;

/// <summary>log p(token) = logit(token) − log Σ exp(logit), over all of a vocabulary.</summary>
internal static class Logprobs
{
    /// <param name="logits">(vocabulary)</param>
    /// <param name="token">The one that was chosen.</param>
    /// <param name="top">How many of the likeliest to add.</param>
    public static TokenLogprob Of(ReadOnlySpan<float> logits, int token, int top, LlamaVocabulary vocabulary)
    {
        var max = logits[TokenSampler.ArgMax(logits)];
        var sum = 0.0;
        foreach (var logit in logits) sum += MathF.Exp(logit - max);
        var normalizer = max + (float)Math.Log(sum);
        var alternatives = new TokenLogprob[Math.Min(top, logits.Length)];
        var rank = 0;
        foreach (var likely in Likeliest(logits, alternatives.Length)) alternatives[rank++] = One(logits, likely, normalizer, [], vocabulary);
        return One(logits, token, normalizer, alternatives, vocabulary);
    }

    private static TokenLogprob One(
        ReadOnlySpan<float> logits, int token, float normalizer, IReadOnlyList<TokenLogprob> top, LlamaVocabulary vocabulary) =>
        new(token, vocabulary.Bytes(token, renderControl: true), logits[token] - normalizer, top);

    private static List<int> Likeliest(ReadOnlySpan<float> logits, int count)
    {
        var tokens = new List<int>(count + 1);
        if (count == 0) return tokens;
        for (var token = 0; token < logits.Length; token++)
        {
            if (tokens.Count == count && !(logits[token] > logits[tokens[^1]])) continue;
            var at = tokens.Count;
            while (at > 0 && logits[token] > logits[tokens[at - 1]]) at--;
            tokens.Insert(at, token);
            if (tokens.Count > count) tokens.RemoveAt(count);
        }
        return tokens;
    }
}
