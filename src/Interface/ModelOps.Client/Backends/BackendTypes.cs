namespace ModelOps.Client;

public static class BackendStates
{
    /// <summary>Not asked yet.</summary>
    public const string Starting = "starting";
    public const string Ready = "ready";
    public const string Down = "down";
}

/// <summary>A server of others that is configured as a backend, as it was when it was last asked.</summary>
public sealed record BackendStatus
{
    public required string Name { get; init; }

    /// <summary><c>openai</c> or <c>ollama</c>: the API that it speaks.</summary>
    public required string Kind { get; init; }
    public required Uri Url { get; init; }

    /// <summary>One of <see cref="BackendStates"/>.</summary>
    public required string State { get; init; }

    /// <summary>The models that it offers; none while it is down.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];
    public DateTimeOffset? CheckedAt { get; init; }

    /// <summary>What is wrong with it.</summary>
    public string? Error { get; init; }
}
