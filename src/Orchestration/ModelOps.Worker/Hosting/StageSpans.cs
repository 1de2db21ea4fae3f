using System.Diagnostics;
using ModelOps.Workflows;

namespace ModelOps.Worker.Hosting;

/// <summary>
/// A span per stage of an activity, from what it reports: its steps stand in it as events. A stage that comes again and again, as measurements between
/// steps do, is thinned as its steps are.
/// </summary>
/// <param name="activity">The activity's own span.</param>
internal sealed class StageSpans(Activity? activity, TimeProvider time) : IDisposable
{
    private readonly Dictionary<string, int> counts = new(StringComparer.Ordinal);
    private Activity? span;
    private string? stage;
    private int steps;
    private DateTimeOffset lastReport = time.GetUtcNow();

    public void Report(ActivityProgress progress)
    {
        if (activity is null) return;
        var now = time.GetUtcNow();
        if (progress.EndsStage)
        {
            Add(progress, now);
            End(now);
        }
        else
        {
            if (progress.Stage != stage) Begin(progress, now);
            if (progress.Step > 0 && Thinning.Keeps(steps++)) Add(progress, now);
        }
        lastReport = now;
    }

    /// <summary>The stage that was under way when the activity ended so has its share of it.</summary>
    public void Fail(string type, string message) => span.Fail(type, message);

    public void Dispose()
    {
        var current = Activity.Current;
        span?.Dispose();
        Activity.Current = current;
    }

    private void Begin(ActivityProgress progress, DateTimeOffset now)
    {
        // One that has done steps already when it first says so began when the one before was last heard of.
        var since = progress.Step > 0 ? lastReport : now;
        End(since);
        (stage, steps) = (progress.Stage, 0);
        var count = counts.GetValueOrDefault(stage);
        counts[stage] = count + 1;
        if (!Thinning.Keeps(count)) return;
        var current = Activity.Current;
        span = WorkerSpans.Source.StartActivity(stage, ActivityKind.Internal, activity!.Context, startTime: since);
        Activity.Current = current; // whoever reports goes on in its own
        if (progress.Total is { } total) span?.SetTag("modelops.steps", total);
    }

    private void Add(ActivityProgress progress, DateTimeOffset now) => span?.AddEvent(new ActivityEvent(
        "step", now, [new(SpanAttributes.Step, progress.Step), .. progress.Metrics.Select(metric => KeyValuePair.Create($"modelops.{metric.Key}", (object?)metric.Value))]));

    private void End(DateTimeOffset at)
    {
        var current = Activity.Current;
        span?.SetEndTime(at.UtcDateTime);
        span?.Stop();
        Activity.Current = current;
        (span, stage) = (null, null);
    }
}
