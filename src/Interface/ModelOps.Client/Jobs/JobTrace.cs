using System.Text.Json;

namespace ModelOps.Client;

/// <summary>All that happened for a job, and for the command or request that began it.</summary>
/// <param name="TraceId">Empty where the trace was not recorded.</param>
/// <param name="Spans">In the order of their beginning.</param>
public sealed record JobTrace(string Job, string TraceId, IReadOnlyList<TraceSpan> Spans);

/// <summary>A span as OpenTelemetry has it.</summary>
public sealed record TraceSpan
{
    public required string SpanId { get; init; }
    /// <summary>Null: the trace begins with it. The parent of a request is its caller's, which the server does not know.</summary>
    public string? ParentId { get; init; }
    public required string Name { get; init; }
    /// <summary><c>internal</c>, <c>server</c>, <c>client</c>, <c>producer</c> or <c>consumer</c>.</summary>
    public required string Kind { get; init; }
    /// <summary>Which process: <c>server</c>, or a worker like <c>training 4711@machine</c>.</summary>
    public required string Service { get; init; }
    public required DateTimeOffset StartedAt { get; init; }
    /// <summary>Null while it lasts, and for ever where its process died.</summary>
    public DateTimeOffset? EndedAt { get; init; }
    /// <summary>What went wrong in it; null: nothing.</summary>
    public string? Error { get; init; }
    /// <summary>By OpenTelemetry's names where it has one.</summary>
    public IReadOnlyDictionary<string, JsonElement> Attributes { get; set; } = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
    public IReadOnlyList<TraceEvent> Events { get; set; } = [];
}

/// <summary>What happened in a span at a moment.</summary>
public sealed record TraceEvent(string Name, DateTimeOffset At, IReadOnlyDictionary<string, JsonElement> Attributes);
