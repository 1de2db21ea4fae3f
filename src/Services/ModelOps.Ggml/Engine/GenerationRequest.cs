namespace ModelOps.Ggml;

public sealed record GenerationRequest
{
    /// <summary>Tokens to continue; at least one.</summary>
    public required int[] Prompt { get; init; }

    /// <value>The default is null: up to the end of the context.</value>
    public int? MaxTokens { get; init; }

    /// <summary>Texts that end the completion where the first of them begins; they are not part of it.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    public SamplingOptions Sampling { get; init; } = new();

    internal IReadOnlyList<string> Errors(int vocabularySize)
    {
        var errors = new List<string>();
        if (Prompt.Length == 0) errors.Add("the prompt has no tokens");
        var unknown = Prompt.Where(token => (uint)token >= (uint)vocabularySize).Distinct().Take(3).ToArray();
        if (unknown.Length > 0)
            errors.Add($"the prompt has tokens that are not in the vocabulary of {vocabularySize}: {string.Join(", ", unknown)}");
        if (MaxTokens < 1) errors.Add($"{nameof(MaxTokens)} is {MaxTokens}: at least 1");
        if (Stop.Any(string.IsNullOrEmpty)) errors.Add("a stop text is empty");
        errors.AddRange(Sampling.Errors());
        return errors;
    }
}

/// <summary>Applied in this order: top-k, top-p, min-p, temperature, as llama.cpp's own tools do.</summary>
public sealed record SamplingOptions
{
    /// <value>The default is 0: greedy, whatever the other options say.</value>
    public float Temperature { get; init; }

    /// <value>The default is 1: off.</value>
    public float TopP { get; init; } = 1;

    /// <value>The default is 0: off.</value>
    public int TopK { get; init; }

    /// <value>The default is 0: off.</value>
    public float MinP { get; init; }

    /// <value>The default is 0.</value>
    public uint Seed { get; init; }

    internal IEnumerable<string> Errors()
    {
        if (!(Temperature >= 0 && float.IsFinite(Temperature))) yield return $"{nameof(Temperature)} is {Temperature}: at least 0";
        if (!(TopP > 0 && TopP <= 1)) yield return $"{nameof(TopP)} is {TopP}: more than 0, at most 1";
        if (TopK < 0) yield return $"{nameof(TopK)} is {TopK}: at least 0";
        if (!(MinP >= 0 && MinP <= 1)) yield return $"{nameof(MinP)} is {MinP}: 0 to 1";
    }
}
