using System.Collections.ObjectModel;

namespace ModelOps.Ggml;

/// <summary>
/// How the next token is chosen. Applied in this order: logit bias, penalties, grammar, top-k, top-p, min-p, temperature, as llama.cpp's
/// own tools do.
/// </summary>
public sealed record SamplingOptions
{
    /// <value>The default is 0: the most likely token, whatever <see cref="TopK"/>, <see cref="TopP"/> and <see cref="MinP"/> say.</value>
    public float Temperature { get; init; }

    /// <value>The default is 1: off.</value>
    public float TopP { get; init; } = 1;

    /// <value>The default is 0: off.</value>
    public int TopK { get; init; }

    /// <value>The default is 0: off.</value>
    public float MinP { get; init; }

    /// <summary>
    /// The same request with the same seed has the same completion as long as the logits are the same. They are, up to the last bits, which
    /// depend on what else is in the batch: a token whose draw falls into such a gap may differ.
    /// </summary>
    /// <value>The default is 0.</value>
    public uint Seed { get; init; }

    /// <summary>Subtracted from a token's logit for every time that the completion has it.</summary>
    /// <value>The default is 0: off.</value>
    public float FrequencyPenalty { get; init; }

    /// <summary>Subtracted from the logit of every token that the completion has.</summary>
    /// <value>The default is 0: off.</value>
    public float PresencePenalty { get; init; }

    /// <summary>Divides the positive and multiplies the negative logits of all tokens of prompt and completion.</summary>
    /// <value>The default is 1: off.</value>
    public float RepeatPenalty { get; init; } = 1;

    /// <summary>Added to the logits of these tokens; minus infinity excludes one.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = ReadOnlyDictionary<int, float>.Empty;

    internal IEnumerable<string> Errors()
    {
        if (!(Temperature >= 0 && float.IsFinite(Temperature))) yield return $"{nameof(Temperature)} is {Temperature}: at least 0";
        if (!(TopP > 0 && TopP <= 1)) yield return $"{nameof(TopP)} is {TopP}: more than 0, at most 1";
        if (TopK < 0) yield return $"{nameof(TopK)} is {TopK}: at least 0";
        if (!(MinP >= 0 && MinP <= 1)) yield return $"{nameof(MinP)} is {MinP}: 0 to 1";
        if (!float.IsFinite(FrequencyPenalty)) yield return $"{nameof(FrequencyPenalty)} is {FrequencyPenalty}: a finite number";
        if (!float.IsFinite(PresencePenalty)) yield return $"{nameof(PresencePenalty)} is {PresencePenalty}: a finite number";
        if (!(RepeatPenalty > 0 && float.IsFinite(RepeatPenalty))) yield return $"{nameof(RepeatPenalty)} is {RepeatPenalty}: more than 0";
        foreach (var (token, bias) in LogitBias)
            if (!float.IsFinite(bias) && !float.IsNegativeInfinity(bias))
                yield return $"{nameof(LogitBias)} of token {token} is {bias}: a finite number, or minus infinity";
    }
}
