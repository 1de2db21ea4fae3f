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
        var lines = LinesOf(TraceNode.TreeOf(trace, MostOfOneName), 0, "").ToList();
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

    /// <summary>Depth first.</summary>
    private static IEnumerable<Line> LinesOf(IEnumerable<TraceNode> nodes, int depth, string service) => nodes.SelectMany(node => LinesOf(node.Below, depth + 1, node.Service)
        .Prepend(new Line(
            depth,
            $"{new string(' ', depth * 2)}{Human.WithoutControls(node.Name)}{(node.Skipped > 0 ? $" (after {node.Skipped} more)" : "")}",
            node.Service == service ? "" : node.Service, node.StartedAt, node.EndedAt, node.Error)));

    private static string Text(TimeSpan time) => time.TotalSeconds < 1
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.0} ms")
        : Human.Duration(time);

    private sealed record Line(int Depth, string Name, string Service, DateTimeOffset StartedAt, DateTimeOffset? EndedAt, string? Error);
}
