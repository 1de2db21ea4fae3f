using Spectre.Console;

namespace ModelOps.Cli.Output;

/// <param name="Stage">What is being done.</param>
/// <param name="Total">Null when unknown.</param>
internal sealed record ProgressUpdate(string Stage, long Done, long? Total, string? Note = null);

/// <summary>Shows work in progress on stderr: a bar on a terminal, a line per stage and tenth when piped, nothing when piped with <c>--json</c>.</summary>
internal static class ProgressView
{
    private const int NarrowScreen = 100;

    // Spinner, percentage, clock and the spaces between: what they and the bar leave of the line is the description's, which must not wrap.
    private const int Reserved = 22;

    public static async Task<T> RunAsync<T>(Invocation invocation, string title, Func<IProgress<ProgressUpdate>, Task<T>> work)
    {
        if (!invocation.Host.ErrorIsTerminal)
        {
            return await work(invocation.Json ? new NoProgress() : new LineProgress(invocation.Host.Error));
        }
        var screen = invocation.Status.Profile.Width;
        var bar = screen < NarrowScreen ? 10 : 20;
        return await invocation.Status.Progress()
            .AutoClear(true)
            .Columns(
                new SpinnerColumn(), new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = bar },
                new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask(Markup.Escape(title));
                task.IsIndeterminate = true;
                return await work(new BarProgress(task, title, screen - bar - Reserved));
            });
    }

    private sealed class NoProgress : IProgress<ProgressUpdate>
    {
        public void Report(ProgressUpdate value)
        {
            // Nobody watches: stderr is piped and stdout carries the document.
        }
    }

    private sealed class BarProgress(ProgressTask task, string title, int width) : IProgress<ProgressUpdate>
    {
        public void Report(ProgressUpdate value)
        {
            task.Description = Markup.Escape(Describe(value));
            task.IsIndeterminate = value.Total is not > 0;
            if (value.Total is { } total and > 0)
            {
                task.MaxValue = total;
                // The bar of a stage that is done stays: a finished task would stop its clock.
                task.Value = Math.Min(value.Done, total * 0.999);
            }
        }

        /// <summary>Where there is no room for all of it, a numbered title (<c>[4/9] Fine-tune</c>) is its number, and another is left out.</summary>
        private string Describe(ProgressUpdate value)
        {
            var work = value.Note is null ? value.Stage : $"{value.Stage}  {value.Note}";
            var whole = $"{title}: {work}";
            if (whole.Length > width && value.Note is not null) whole = $"{title[..(title.IndexOf(']', StringComparison.Ordinal) + 1)]} {work}".TrimStart();
            if (whole.Length <= width) return whole;
            var cut = whole[..Math.Max(width, 0)];
            return cut.LastIndexOf("  ", StringComparison.Ordinal) is > 0 and var part ? cut[..part] : cut; // half a number would be another number
        }
    }

    private sealed class LineProgress(TextWriter error) : IProgress<ProgressUpdate>
    {
        private (string Stage, long Tenth) last;

        public void Report(ProgressUpdate value)
        {
            var tenth = value.Total is { } total and > 0 ? value.Done * 10 / total : 0;
            if (last == (value.Stage, tenth))
            {
                return;
            }
            last = (value.Stage, tenth);
            var count = value.Total is null ? "" : $" {value.Done}/{value.Total}";
            error.WriteLine($"{value.Stage}{count}{(value.Note is null ? "" : $"  {value.Note}")}");
        }
    }
}
