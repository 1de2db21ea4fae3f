namespace ModelOps.Quantization;

/// <summary>Logits as distributions over the vocabulary, in nats.</summary>
internal static class Distribution
{
    /// <returns>The most likely token, the first of several.</returns>
    public static int LogSoftmax(ReadOnlySpan<float> logits, Span<double> logProbabilities)
    {
        var best = 0;
        for (var v = 1; v < logits.Length; v++)
            if (logits[v] > logits[best]) best = v;
        var sum = 0.0;
        foreach (var logit in logits) sum += Math.Exp(logit - logits[best]);
        var normalizer = logits[best] + Math.Log(sum);
        for (var v = 0; v < logits.Length; v++) logProbabilities[v] = logits[v] - normalizer;
        return best;
    }

    /// <summary>KL(p ‖ q) of log probabilities; rounding never makes it negative.</summary>
    public static double KlDivergence(ReadOnlySpan<double> p, ReadOnlySpan<double> q)
    {
        var nats = 0.0;
        for (var v = 0; v < p.Length; v++) nats += Math.Exp(p[v]) * (p[v] - q[v]);
        return Math.Max(0, nats);
    }
}
