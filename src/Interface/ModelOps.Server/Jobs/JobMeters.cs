using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Telemetry;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>How jobs fare: how long they take and how they end, how many there are, and the figures of trainings under way.</summary>
public sealed class JobMeters : IDisposable
{
    /// <summary>Those of a report that are also metrics, by their names there.</summary>
    private static readonly (string Name, string Metric, string? Unit, string Description)[] figures =
    [
        ("loss", "modelops.training.loss", "{nat}", "Nats per learned token of the last step's batch."),
        ("validation_loss", "modelops.training.validation_loss", "{nat}", "Nats per learned token over the rows that are measured on, at the last measurement."),
        ("learning_rate", "modelops.training.learning_rate", null, "Learning rate of the last step."),
        ("grad_norm", "modelops.training.gradient_norm", null, "L2 norm of all gradients before clipping."),
        ("tokens_per_second", "modelops.training.token_rate", "{token}/s", "Tokens that the model read in the last step per second."),
        ("mfu", "modelops.training.flops_utilization", "1", "Share of the machine's matrix product peak that the model's own arithmetic took."),
    ];

    private const string step = "step";
    private readonly Meter meter;
    private readonly Histogram<double> duration;
    private readonly Counter<long> retries;
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<string, double>> trainings = new(StringComparer.Ordinal);

    public JobMeters(IMeterFactory meters)
    {
        meter = meters.Create(ServerMetrics.MeterName);
        duration = meter.CreateHistogram(
            "modelops.job.duration", "s", "From a job's start to its end, by its kind and how it ended.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600] });
        retries = meter.CreateCounter<long>("modelops.activity.retries", "{try}", "Tries of an activity beyond its first: its worker died, was not heard of, or it failed.");
        meter.CreateObservableGauge("modelops.jobs.unfinished", Count, "{job}", "Jobs that are queued, running or paused.");
        meter.CreateObservableGauge("modelops.training.step", () => Each(step), "{step}", "Steps of the training done.");
        foreach (var figure in figures) meter.CreateObservableGauge(figure.Metric, () => Each(figure.Name), figure.Unit, figure.Description);
    }

    /// <summary>As last looked at.</summary>
    public IReadOnlyList<(string Kind, JobState State)> Unfinished { get; set; } = [];

    public void Ended(JobRow job)
    {
        trainings.TryRemove(job.Id, out _);
        var tags = new TagList { { "job.kind", job.Kind }, { "job.state", job.State } };
        if (job.ErrorType is { } error) tags.Add("error.type", error);
        duration.Record((job.FinishedAt!.Value - job.StartedAt!.Value).TotalSeconds, tags);
    }

    /// <summary>It has no figures until it goes on.</summary>
    public void Paused(string job) => trainings.TryRemove(job, out _);

    public void TriedAgain(string activity) => retries.Add(1, new KeyValuePair<string, object?>("activity", activity));

    /// <summary>The newest figures of a training; those that a report does not have stay as they were.</summary>
    public void Tell(string job, JobReport report)
    {
        if (report.Activity != Activities.TrainAdapter.Name) return;
        var known = trainings.GetOrAdd(job, _ => new(StringComparer.Ordinal));
        foreach (var point in report.Points ?? []) Take(known, point.Step, point.Values);
        if (report.Progress is { IsPoint: true } latest) Take(known, latest.Step, latest.Metrics);
    }

    public void Dispose() => meter.Dispose();

    private static void Take(ConcurrentDictionary<string, double> known, long steps, IReadOnlyDictionary<string, double> values)
    {
        known[step] = steps;
        foreach (var (name, value) in values) known[name] = value;
    }

    private IEnumerable<Measurement<int>> Count() => Unfinished.GroupBy(job => job)
        .Select(same => new Measurement<int>(same.Count(), new("job.kind", same.Key.Kind), new("job.state", JobViews.Text(same.Key.State))));

    private IEnumerable<Measurement<double>> Each(string name)
    {
        foreach (var (job, values) in trainings)
            if (values.TryGetValue(name, out var value))
                yield return new(value, new KeyValuePair<string, object?>("job.id", job));
    }
}
