namespace ModelOps.Ggml;

public sealed record GenerationRequest
{
    public const int MaxTopLogprobs = 20;

    /// <summary>Tokens to continue; at least one.</summary>
    public required int[] Prompt { get; init; }

    /// <value>The default is null: up to the end of the context.</value>
    public int? MaxTokens { get; init; }

    /// <summary>Texts that end the completion where the first of them begins; they are not part of it.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>The name under which the engine has the adapter. The version that it has when the request is queued serves all of it.</summary>
    /// <value>The default is null: the model itself.</value>
    public string? Adapter { get; init; }

    /// <summary>GBNF, whose rule <c>root</c> the completion has to match; <see cref="JsonSchemaGrammar"/> makes one of a JSON schema.</summary>
    /// <value>The default is null: any text.</value>
    public string? Grammar { get; init; }

    /// <summary>Whether the text has the completion's control tokens too: some models begin calls of tools with one.</summary>
    /// <value>The default is false.</value>
    public bool ShowControl { get; init; }

    /// <summary>How many alternatives, 0 to 20, <see cref="GeneratedPiece.Logprobs"/> has for each token.</summary>
    /// <value>The default is null: no log probabilities at all.</value>
    public int? TopLogprobs { get; init; }

    /// <value>The default is normal.</value>
    public RequestPriority Priority { get; init; }

    /// <summary>A copy that the caller cannot change any more once it is checked.</summary>
    internal GenerationRequest Copy() => this with
    {
        Prompt = [.. Prompt],
        Stop = [.. Stop],
        Sampling = Sampling with { LogitBias = Sampling.LogitBias.ToDictionary() },
    };

    internal IReadOnlyList<string> Errors(int vocabularySize)
    {
        var errors = new List<string>();
        if (Prompt.Length == 0) errors.Add("the prompt has no tokens");
        AddUnknown(errors, "the prompt has tokens", Prompt, vocabularySize);
        if (MaxTokens < 1) errors.Add($"{nameof(MaxTokens)} is {MaxTokens}: at least 1");
        if (Stop.Any(string.IsNullOrEmpty)) errors.Add("a stop text is empty");
        if (TopLogprobs is < 0 or > MaxTopLogprobs) errors.Add($"{nameof(TopLogprobs)} is {TopLogprobs}: 0 to {MaxTopLogprobs}");
        if (!Enum.IsDefined(Priority)) errors.Add($"{nameof(Priority)} is {Priority}: low, normal or high");
        errors.AddRange(Sampling.Errors());
        AddUnknown(errors, $"{nameof(SamplingOptions.LogitBias)} has tokens", Sampling.LogitBias.Keys, vocabularySize);
        return errors;
    }

    private static void AddUnknown(List<string> errors, string what, IEnumerable<int> tokens, int vocabularySize)
    {
        var unknown = tokens.Where(token => (uint)token >= (uint)vocabularySize).Distinct().Take(3).ToArray();
        if (unknown.Length > 0)
            errors.Add($"{what} that are not in the vocabulary of {vocabularySize}: {string.Join(", ", unknown)}");
    }
}

/// <summary>
/// Who goes first when requests wait. A request that waited 10 s (normal) or 60 s (low) longer than one of high priority goes before it:
/// nobody starves.
/// </summary>
public enum RequestPriority
{
    Normal = 0,
    High = 1,
    Low = 2,
}
