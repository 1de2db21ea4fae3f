using ModelOps.Cli.Output;
using Spectre.Console;

namespace ModelOps.Cli.Quickstart;

/// <param name="Reused">Whether it was there already and nothing was done.</param>
/// <param name="Resumed">Whether an earlier run's job was gone on with.</param>
/// <param name="Job">That made it, where one did.</param>
internal sealed record StepOutcome<T>(T Result, bool Reused, bool Resumed = false, string? Job = null);

internal static class StepOutcome
{
    public static StepOutcome<T> Of<T>(JobOutcome<T> outcome) => Of(outcome, outcome.Result);

    public static StepOutcome<T> Of<TJob, T>(JobOutcome<TJob> outcome, T result) => new(result, outcome.Reused, outcome.Resumed, outcome.Job.Id);
}

/// <summary>Shows the steps: each in work, then in a line of what it made and how long that took.</summary>
internal sealed class QuickstartSteps(Invocation invocation, int count)
{
    private const int TitleWidth = 19;
    private const int DurationWidth = 10;
    private const int LongestText = 240;

    private int step;
    private string title = "";

    /// <summary>The step that is at work, for people.</summary>
    public string Now => $"{step} of {count}, {title}";

    public async Task<QuickstartStep<T>> RunAsync<T>(string title, Func<IProgress<ProgressUpdate>, Task<StepOutcome<T>>> work, Func<T, string> summary)
    {
        step++;
        this.title = title;
        var start = invocation.Host.Time.GetTimestamp();
        var outcome = await ProgressView.RunAsync(invocation, $"[{step}/{count}] {title}", work);
        var took = invocation.Host.Time.GetElapsedTime(start);
        if (!invocation.Json)
        {
            var how = outcome.Reused ? " (already there)" : outcome.Resumed ? " (went on with it)" : "";
            WriteLine(took, summary(outcome.Result) + how);
        }
        return new(took.TotalSeconds, outcome.Reused, outcome.Resumed, outcome.Job, outcome.Result);
    }

    public void Show(IReadOnlyList<QuickstartAnswer> answers)
    {
        if (invocation.Json)
        {
            return;
        }
        foreach (var answer in answers)
        {
            Write("      > ", answer.Question, Style.Plain);
            Write("        ", answer.Answer is "" ? "(it says nothing)" : answer.Answer, new Style(Color.Green));
            Write("        ", $"the row says: {answer.Expected}", new Style(Color.Grey));
        }
    }

    private void WriteLine(TimeSpan took, string summary)
    {
        var head = $"[{step}/{count}] ";
        var margin = head.Length + TitleWidth + 1 + DurationWidth + 2;
        var lines = TextWrap.Lines(summary, invocation.Screen.Profile.Width - margin);
        invocation.Screen.Write(new Text(head, new Style(Color.Green)));
        invocation.Screen.Write(new Text(title.PadRight(TitleWidth + 1), new Style(decoration: Decoration.Bold)));
        invocation.Screen.Write(new Text($"{Human.Duration(took).PadLeft(DurationWidth)}  ", new Style(Color.Grey)));
        invocation.Screen.WriteLine(string.Join($"\n{new string(' ', margin)}", lines));
    }

    /// <summary>Text that others wrote, in one paragraph behind the margin, and no more than the beginning of a long one.</summary>
    private void Write(string margin, string text, Style style)
    {
        var words = string.Join(' ', Human.WithoutControls(text).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        var shown = words.Length <= LongestText ? words : $"{words[..LongestText].TrimEnd()} …";
        foreach (var line in TextWrap.Lines(shown, invocation.Screen.Profile.Width - margin.Length))
        {
            invocation.Screen.Write(new Text(margin));
            invocation.Screen.Write(new Text(line, style));
            invocation.Screen.WriteLine();
            margin = new string(' ', margin.Length);
        }
    }
}
