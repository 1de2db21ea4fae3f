using System.CommandLine;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Cli.Jobs;
using ModelOps.Client;

namespace ModelOps.Tests.Cli;

/// <summary>A trace as people see it.</summary>
public sealed class TraceViewTests
{
    private static readonly DateTimeOffset start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Show_ATraceWithAnErrorRepetitionsAndAnUnendedSpan_IsATree()
    {
        List<TraceSpan> spans =
        [
            Span("a", "unknown", "POST /api/v1/trainings", 0, 0.05) with { Attributes = Agent("modelops (train sft)") },
            Span("b", "a", "workflow SftTraining", 0.1, 10),
            Span("c", "b", "TrainAdapter", 1, null) with { Service = "training 1@host" },
            Span("d", "b", "TrainAdapter", 4, 10) with { Service = "training 2@host", Error = "the loss is no number" },
            .. Enumerable.Range(0, 20).Select(number => Span($"e{number}", "d", "validate", 5 + (number * 0.2), 5.1 + (number * 0.2)) with { Service = "training 2@host" }),
        ];
        var shown = Show(new JobTrace("job-1", "0af7651916cd43dd8448eb211c80319c", spans)).Split('\n');
        Assert.Equal("trace 0af7651916cd43dd8448eb211c80319c, 24 spans, 10.0 s", shown[0]);
        Assert.Equal(Line("modelops train sft", "10.0 s", "██████████████████████████████"), shown[1]);
        Assert.Equal(Line("  POST /api/v1/trainings", "50.0 ms", "█·····························  server"), shown[2]);
        Assert.Equal(Line("    workflow SftTraining", "9.9 s", "██████████████████████████████"), shown[3]);
        Assert.Equal(Line("      TrainAdapter", "not ended", "···░░░░░░░░░░░░░░░░░░░░░░░░░░░  training 1@host"), shown[4]);
        Assert.Equal(Line("      TrainAdapter", "6.0 s", "············██████████████████  training 2@host"), shown[5]);
        Assert.Equal("        error: the loss is no number", shown[6]);
        Assert.Equal(9, shown.Count(line => line.TrimStart().StartsWith("validate", StringComparison.Ordinal)));
        Assert.StartsWith("        validate (after 11 more) ", shown[15], StringComparison.Ordinal);
        Assert.Equal(17, shown.Length); // the last line is empty
    }

    [Fact]
    public void Show_ATraceThatIsGone_SaysSo() =>
        Assert.StartsWith("Its trace is not kept", Show(new JobTrace("job-1", "", [])), StringComparison.Ordinal);

    /// <summary>As wide as the longest name.</summary>
    private static string Line(string name, string took, string bar) => $"{name,-32} {took,11}  {bar}";

    private static Dictionary<string, JsonElement> Agent(string text) =>
        new(StringComparer.Ordinal) { ["user_agent.original"] = JsonElement.Parse($"\"{text}\"") };

    private static TraceSpan Span(string id, string parent, string name, double from, double? to) => new()
    {
        SpanId = id,
        ParentId = parent,
        Name = name,
        Kind = "internal",
        Service = "server",
        StartedAt = start.AddSeconds(from),
        EndedAt = to is { } end ? start.AddSeconds(end) : null,
    };

    private static string Show(JobTrace trace)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var host = new CliHost
        {
            In = TextReader.Null,
            Out = output,
            Error = TextWriter.Null,
            Variable = _ => null,
            ProgramFolder = Path.GetTempPath(),
            Time = TimeProvider.System,
        };
        using var invocation = new Invocation(host, new GlobalOptions(), new RootCommand().Parse([]));
        TraceView.Show(invocation, trace);
        return output.ToString();
    }
}
