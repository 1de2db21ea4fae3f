using System.Globalization;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Jobs;

/// <summary>A trace as a tree: how long each span took, and where it lies in the whole.</summary>
internal static class TraceView
{
    private const int BarWidth = 30;
    private const int MostOfOneName = 8; // below one parent
    private const int LongestName = 56;

    public static void Show(Invocation invocation, JobTrace trace)
    {
        var screen = invocation.Screen;
        if (trace.Spans.Count == 0)
        {
            screen.WriteLine("Its trace is not kept: it was not recorded, or telemetry:trace_age or telemetry:trace_size let it go.");
            return;
        }
        var lines = LinesOf(trace).ToList();
        var start = trace.Spans.Min(span => span.StartedAt);
        var end = trace.Spans.Max(span => span.EndedAt ?? span.StartedAt);
        screen.WriteLine($"trace {trace.TraceId}, {trace.Spans.Count} spans, {Text(end - start)}");
        var names = Math.Min(LongestName, lines.Max(line => line.Name.Length));
        foreach (var line in lines)
        {
            Write(invocation, line, names, start, end - start);
        }
    }

    private static void Write(Invocation invocation, Line line, int names, DateTimeOffset start, TimeSpan whole)
    {
        var name = line.Name.Length > names ? $"{line.Name[..(names - 1)]}…" : line.Name;
        var took = line.EndedAt is { } ended ? Text(ended - line.StartedAt) : "not ended";
        var text = $"{name.PadRight(names)} {took,11}  {Bar(line, start, whole)}{(line.Service.Length > 0 ? $"  {line.Service}" : "")}";
        Write(invocation, line.Error is null ? "" : "red", text.TrimEnd());
        if (line.Error is { } error)
        {
            Write(invocation, "red", $"{new string(' ', line.Depth * 2)}  error: {Human.WithoutControls(error)}");
        }
    }

    private static void Write(Invocation invocation, string style, string text)
    {
        if (invocation.Host.OutIsTerminal && style.Length > 0)
        {
            invocation.Screen.MarkupLine($"[{style}]{Markup.Escape(text)}[/]");
            return;
        }
        invocation.Host.Out.WriteLine(text);
    }

    private static string Bar(Line line, DateTimeOffset start, TimeSpan whole)
    {
        var from = Math.Min(BarWidth - 1, At(line.StartedAt));
        var to = Math.Clamp(At(line.EndedAt ?? start + whole), from + 1, BarWidth);
        return $"{new string('·', from)}{new string(line.EndedAt is null ? '░' : '█', to - from)}{new string('·', BarWidth - to)}";

        int At(DateTimeOffset time) => whole > TimeSpan.Zero ? (int)Math.Round((time - start) / whole * BarWidth) : 0;
    }

    /// <summary>Depth first, in the order of their beginning. What a command asked for stands below that command.</summary>
    private static IEnumerable<Line> LinesOf(JobTrace trace)
    {
        var known = trace.Spans.Select(span => span.SpanId).ToHashSet(StringComparer.Ordinal);
        var below = trace.Spans.Where(span => span.ParentId is not null && known.Contains(span.ParentId)).ToLookup(span => span.ParentId!, StringComparer.Ordinal);
        foreach (var caller in trace.Spans.Where(span => span.ParentId is null || !known.Contains(span.ParentId)).GroupBy(CallerOf))
        {
            var depth = 0;
            if (caller.Key is { } name)
            {
                var all = caller.SelectMany(root => WithAllBelow(root, below)).ToList();
                yield return new(depth++, name, "", all.Min(span => span.StartedAt), all.Max(span => span.EndedAt ?? span.StartedAt), null);
            }
            foreach (var line in LinesOf([.. caller], below, depth, ""))
            {
                yield return line;
            }
        }
    }

    private static IEnumerable<Line> LinesOf(IReadOnlyList<TraceSpan> siblings, ILookup<string, TraceSpan> below, int depth, string service)
    {
        var counts = siblings.GroupBy(span => span.Name, StringComparer.Ordinal).ToDictionary(same => same.Key, same => same.Count(), StringComparer.Ordinal);
        var shown = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var span in siblings)
        {
            var number = shown[span.Name] = shown.GetValueOrDefault(span.Name) + 1;
            var left = counts[span.Name] - MostOfOneName;
            if (left > 0 && number > MostOfOneName && number < counts[span.Name])
            {
                continue; // the last one is shown, and says how many were not
            }
            var skipped = left > 1 && number == counts[span.Name] ? $" (after {left - 1} more)" : "";
            yield return new(
                depth, $"{new string(' ', depth * 2)}{Human.WithoutControls(span.Name)}{skipped}", span.Service == service ? "" : span.Service, span.StartedAt, span.EndedAt, span.Error);
            foreach (var line in LinesOf([.. below[span.SpanId]], below, depth + 1, span.Service))
            {
                yield return line;
            }
        }
    }

    private static IEnumerable<TraceSpan> WithAllBelow(TraceSpan span, ILookup<string, TraceSpan> below) =>
        below[span.SpanId].SelectMany(child => WithAllBelow(child, below)).Prepend(span);

    /// <returns>What a command of ours says of itself; null for another caller.</returns>
    private static string? CallerOf(TraceSpan root) =>
        root.Attributes.TryGetValue("user_agent.original", out var agent) && agent.ToString() is var text && text.StartsWith("modelops (", StringComparison.Ordinal)
            ? $"modelops {Human.WithoutControls(text["modelops (".Length..].TrimEnd(')'))}"
            : null;

    private static string Text(TimeSpan time) => time.TotalSeconds < 1
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.0} ms")
        : Human.Duration(time);

    private sealed record Line(int Depth, string Name, string Service, DateTimeOffset StartedAt, DateTimeOffset? EndedAt, string? Error);
}
