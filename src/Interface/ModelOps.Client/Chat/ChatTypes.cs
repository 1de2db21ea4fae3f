namespace ModelOps.Client;

// OpenAI's shapes of /v1/chat/completions: what this client sends and reads of them.

/// <param name="Role">system, user or assistant.</param>
public sealed record ChatMessage(string Role, string Content);

public sealed record ChatRequest
{
    /// <summary>Name of a deployment.</summary>
    public required string Model { get; init; }
    public required IReadOnlyList<ChatMessage> Messages { get; init; }
    /// <summary>0 decodes greedily; null takes the server's default.</summary>
    public double? Temperature { get; init; }
    public double? TopP { get; init; }
    public int? MaxTokens { get; init; }
    public int? Seed { get; init; }
    public bool Stream { get; init; }
    public ChatStreamOptions? StreamOptions { get; init; }
}

public sealed record ChatStreamOptions(bool IncludeUsage);

public sealed record ChatChunk
{
    public string? Id { get; init; }
    public string? Model { get; init; }
    /// <summary>Null or empty on chunks that carry only usage or an error.</summary>
    public IReadOnlyList<ChatChunkChoice>? Choices { get; init; }
    /// <summary>On the last chunk only.</summary>
    public ChatUsage? Usage { get; init; }
    /// <summary>Set when generation failed after the answer had begun.</summary>
    public OpenAIError? Error { get; init; }
}

public sealed record ChatChunkChoice(int Index, ChatDelta? Delta, string? FinishReason);

public sealed record ChatDelta(string? Role, string? Content);

public sealed record ChatUsage(int PromptTokens, int CompletionTokens, int TotalTokens);

/// <summary>A whole answer.</summary>
/// <param name="FinishReason">stop, length or another of OpenAI's.</param>
public sealed record ChatAnswer(string Content, string FinishReason, ChatUsage? Usage);

public sealed record OpenAIErrorBody(OpenAIError? Error);

public sealed record OpenAIError(string Message, string? Type, string? Param, string? Code);

public sealed record ModelList(IReadOnlyList<ModelEntry> Data);

public sealed record ModelEntry(string Id);
