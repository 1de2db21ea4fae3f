using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Jobs;

/// <summary>A line of a job's log: time, level, step and attempt, text.</summary>
internal static class LogView
{
    public static void Write(Invocation invocation, JobLogEntry line)
    {
        var level = $"{JobViews.NameOf(line.Level),-8}";
        var step = line.Step is null ? "" : $" {line.Step}#{line.Attempt}";
        if (invocation.Host.OutIsTerminal)
        {
            var (style, text) = (StyleOf(line.Level), Human.WithoutControls(line.Text));
            invocation.Screen.MarkupLine($"[grey]{line.At.LocalDateTime:HH:mm:ss.fff}[/] [{style}]{level}[/][grey]{Markup.Escape(step)}[/] {Markup.Escape(text)}");
            return;
        }
        invocation.Host.Out.WriteLine($"{line.At.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fffZ} {level}{step} {line.Text}");
    }

    private static string StyleOf(JobLogLevel level) => level switch
    {
        JobLogLevel.Critical or JobLogLevel.Error => "red",
        JobLogLevel.Warning => "yellow",
        JobLogLevel.Info => "green",
        _ => "grey",
    };
}
