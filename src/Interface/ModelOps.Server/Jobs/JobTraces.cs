using System.Collections.Concurrent;
using System.Diagnostics;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Telemetry;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>
/// A span per run of a job, from its creation to its end: below it stand its activities, whatever process they run in and however often they are
/// tried, for it is the trace context that the job's row and its workflow's input have.
/// </summary>
/// <remarks>
/// The span is open for as long as the job, which may outlive this process. Then its end is written beside its beginning here; a collector, which
/// gets spans that have ended, does not get that one.
/// </remarks>
public sealed class JobTraces(SpanStore store, TimeProvider time)
{
    private static readonly TimeSpan certainlyRecorded = TimeSpan.FromMinutes(1);
    private readonly ConcurrentDictionary<string, Activity> open = new(StringComparer.Ordinal);

    /// <summary>Of a run that is asked for now. It ends when it is disposed, unless it is kept.</summary>
    internal RunTrace Begin(string job, string kind, int attempt)
    {
        var request = Activity.Current;
        var span = ServerSpans.Source.StartActivity(
            $"workflow {JobKinds.Of(kind).Workflow}",
            ActivityKind.Internal,
            parentContext: default, // the current one
            [new(SpanAttributes.Job, job), new(SpanAttributes.JobKind, kind), new(SpanAttributes.JobAttempt, attempt)]);
        Activity.Current = request;
        return new(this, job, span, span?.Id ?? request?.Id);
    }

    /// <summary>The run has ended as its row says.</summary>
    public async Task EndAsync(JobRow row, CancellationToken cancellationToken)
    {
        if (End(row.Id, row.ErrorType, row.ErrorMessage)) return;
        if (!ActivityContext.TryParse(row.TraceParent, traceState: null, out var context)) return;
        var spans = await store.ReadAsync(context.TraceId.ToHexString(), cancellationToken);
        if (spans.FirstOrDefault(told => told.SpanId == context.SpanId.ToHexString()) is { } began)
            store.Add(began with { EndedAt = row.FinishedAt, Error = row.ErrorMessage });
    }

    /// <summary>Another server on the same workflows may have ended a job whose span is open here.</summary>
    /// <param name="unfinished">Ids of all jobs that are not ended.</param>
    public void EndOthers(IReadOnlySet<string> unfinished)
    {
        foreach (var (job, span) in open)
            if (!unfinished.Contains(job) && time.GetUtcNow() - span.StartTimeUtc > certainlyRecorded)
                End(job, errorType: null, error: null);
    }

    public async Task<JobTrace> ReadAsync(Job job, CancellationToken cancellationToken) => job.TraceId is not { } trace
        ? new(job.Id, "", [])
        : new(job.Id, trace, [.. (await store.ReadAsync(trace, cancellationToken)).Select(ToWire)]);

    private static TraceSpan ToWire(SpanRecord span) => new()
    {
        SpanId = span.SpanId,
        ParentId = span.ParentId,
        Name = span.Name,
        Kind = span.Kind,
        Service = span.Service,
        StartedAt = span.StartedAt,
        EndedAt = span.EndedAt,
        Error = span.Error,
        Attributes = span.Attributes,
        Events = [.. span.Events.Select(told => new TraceEvent(told.Name, told.At, told.Attributes))],
    };

    /// <returns>False: it is not open here.</returns>
    private bool End(string job, string? errorType, string? error)
    {
        open.TryRemove(job, out var span);
        var current = Activity.Current; // the end of a span brings back what was current at its beginning
        using (span)
            if (errorType is not null) span.Fail(errorType, error ?? "");
        Activity.Current = current;
        return span is not null;
    }

    /// <param name="parent">What the run's spans stand below; null: nobody traces.</param>
    internal sealed class RunTrace(JobTraces traces, string job, Activity? span, string? parent) : IDisposable
    {
        private bool kept;

        public string? Parent => parent;

        /// <summary>The run is written down: the span lasts until its end.</summary>
        public void Keep()
        {
            kept = true;
            if (span is not null) traces.open[job] = span;
        }

        public void Dispose()
        {
            if (!kept) span?.Dispose();
        }
    }
}
