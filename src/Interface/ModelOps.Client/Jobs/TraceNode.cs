namespace ModelOps.Client;

/// <summary>A span, or the command that asked for some, and what happened below it.</summary>
public sealed record TraceNode
{
    /// <summary>No other node of the trace has it.</summary>
    public required string Id { get; init; }
    public required string Name { get; init; }
    /// <summary>Which process; empty for a command.</summary>
    public required string Service { get; init; }
    public required DateTimeOffset StartedAt { get; init; }
    /// <summary>Null: it has not ended.</summary>
    public DateTimeOffset? EndedAt { get; init; }
    public string? Error { get; init; }
    /// <summary>Spans of its name right before it that were left out.</summary>
    public int Skipped { get; init; }
    /// <summary>In the order of their beginning.</summary>
    public required IReadOnlyList<TraceNode> Below { get; init; }

    /// <summary>A trace as a tree. What a command of ours asked for stands below that command.</summary>
    /// <param name="most">Spans of one name below one parent; of more the first, the last, and those with an error are there.</param>
    public static IReadOnlyList<TraceNode> TreeOf(JobTrace trace, int most)
    {
        var known = trace.Spans.Select(span => span.SpanId).ToHashSet(StringComparer.Ordinal);
        var below = trace.Spans.Where(span => span.ParentId is not null && known.Contains(span.ParentId)).ToLookup(span => span.ParentId!, StringComparer.Ordinal);
        return
        [
            .. trace.Spans.Where(span => span.ParentId is null || !known.Contains(span.ParentId)).GroupBy(CallerOf).SelectMany(caller =>
            {
                var nodes = Nodes([.. caller], below, most);
                return caller.Key is { } name ? [CommandOf(name, nodes)] : nodes;
            }),
        ];
    }

    private static TraceNode CommandOf(string name, List<TraceNode> nodes)
    {
        var all = nodes.SelectMany(node => node.WithAllBelow()).ToList();
        return new()
        {
            Id = $"caller of {nodes[0].Id}",
            Name = name,
            Service = "",
            StartedAt = all.Min(node => node.StartedAt),
            EndedAt = all.Max(node => node.EndedAt ?? node.StartedAt),
            Below = nodes,
        };
    }

    private static List<TraceNode> Nodes(IReadOnlyList<TraceSpan> siblings, ILookup<string, TraceSpan> below, int most)
    {
        var counts = siblings.CountBy(span => span.Name, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
        var (seen, skipped) = (new Dictionary<string, int>(StringComparer.Ordinal), new Dictionary<string, int>(StringComparer.Ordinal));
        var nodes = new List<TraceNode>();
        foreach (var span in siblings)
        {
            var number = seen[span.Name] = seen.GetValueOrDefault(span.Name) + 1;
            if (number > most && number < counts[span.Name] && span.Error is null)
            {
                skipped[span.Name] = skipped.GetValueOrDefault(span.Name) + 1;
                continue; // the next one that is there says how many were not
            }
            nodes.Add(new()
            {
                Id = span.SpanId,
                Name = span.Name,
                Service = span.Service,
                StartedAt = span.StartedAt,
                EndedAt = span.EndedAt,
                Error = span.Error,
                Skipped = skipped.Remove(span.Name, out var left) ? left : 0,
                Below = Nodes([.. below[span.SpanId]], below, most),
            });
        }
        return nodes;
    }

    private IEnumerable<TraceNode> WithAllBelow() => Below.SelectMany(node => node.WithAllBelow()).Prepend(this);

    /// <returns>What a command of ours says of itself; null for another caller.</returns>
    private static string? CallerOf(TraceSpan root) =>
        root.Attributes.TryGetValue("user_agent.original", out var agent) && agent.ToString() is var text && text.StartsWith("modelops (", StringComparison.Ordinal)
            ? $"modelops {text["modelops (".Length..].TrimEnd(')')}"
            : null;
}
