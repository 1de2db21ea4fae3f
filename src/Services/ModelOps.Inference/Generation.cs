namespace ModelOps.Inference;

public sealed record ChatTurn(string Role, string Content);

/// <summary>What to continue: a conversation, rendered with the model's own template, or a prompt taken as it is.</summary>
public abstract record GenerationInput
{
    private GenerationInput()
    {
    }

    public sealed record Chat(IReadOnlyList<ChatTurn> Messages) : GenerationInput;

    public sealed record Prompt(string Text) : GenerationInput;
}

public sealed record SamplingSettings
{
    /// <value>The default is 1; 0 is greedy.</value>
    public float Temperature { get; init; } = 1;

    /// <value>The default is 1: off.</value>
    public float TopP { get; init; } = 1;

    /// <value>The default is 0: off.</value>
    public int TopK { get; init; }

    /// <value>The default is 0: off.</value>
    public float MinP { get; init; }

    public required uint Seed { get; init; }
}

public sealed record GenerationRequest
{
    public required string Model { get; init; }
    public required GenerationInput Input { get; init; }

    /// <value>The default is null: up to the end of the context.</value>
    public int? MaxTokens { get; init; }

    public IReadOnlyList<string> Stop { get; init; } = [];
    public required SamplingSettings Sampling { get; init; }
}

public enum FinishReason
{
    Stop,
    Length,
}

public sealed record TokenUsage(int PromptTokens, int CompletionTokens);

/// <summary>A piece of the answer, whole UTF-8 characters only; the last one has <see cref="Finish"/> and <see cref="Usage"/>.</summary>
public sealed record GenerationPiece(string Text, FinishReason? Finish = null, TokenUsage? Usage = null);

public enum InferenceError
{
    /// <summary>No deployment has that name.</summary>
    ModelNotFound,

    /// <summary>The request itself is wrong, for example longer than the context.</summary>
    InvalidRequest,

    /// <summary>The model's files do not verify.</summary>
    VerificationFailed,

    /// <summary>Every slot and the queue are taken.</summary>
    Busy,

    /// <summary>The backend is down or starting.</summary>
    Unavailable,
}

public sealed class InferenceException(InferenceError error, string message, Exception? cause = null) : Exception(message, cause)
{
    public InferenceError Error { get; } = error;
}
