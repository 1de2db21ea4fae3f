using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Temporalio.Activities;

namespace ModelOps.Workflows;

/// <summary>A span as OpenTelemetry has it, between the processes that make spans and the server that keeps them.</summary>
/// <param name="TraceId">Hex, as the ids of spans are.</param>
/// <param name="ParentId">Null: the trace begins with it.</param>
/// <param name="Kind">internal, server, client, producer or consumer.</param>
/// <param name="Service">Which process: <c>server</c>, <c>training 4711@machine</c>.</param>
/// <param name="EndedAt">Null: it was told when it began.</param>
/// <param name="Error">What went wrong in it; null: nothing.</param>
public sealed record SpanRecord(
    string TraceId,
    string SpanId,
    string? ParentId,
    string Name,
    string Kind,
    string Service,
    DateTimeOffset StartedAt,
    DateTimeOffset? EndedAt,
    string? Error,
    IReadOnlyDictionary<string, JsonElement> Attributes,
    IReadOnlyList<SpanEvent> Events)
{
    public static SpanRecord Of(Activity span, string service) => new(
        span.TraceId.ToHexString(),
        span.SpanId.ToHexString(),
        span.ParentSpanId == default ? null : span.ParentSpanId.ToHexString(),
        span.DisplayName,
        span.Kind.ToString().ToLowerInvariant(),
        service,
        span.StartTimeUtc,
        span.IsStopped ? span.StartTimeUtc + span.Duration : null,
        span.Status == ActivityStatusCode.Error ? span.StatusDescription ?? "failed" : null,
        ToJson(span.EnumerateTagObjects()),
        [.. span.Events.Select(told => new SpanEvent(told.Name, told.Timestamp, ToJson(told.EnumerateTagObjects())))]);

    private static Dictionary<string, JsonElement> ToJson(Activity.Enumerator<KeyValuePair<string, object?>> tags)
    {
        var values = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var (name, value) in tags)
            if (value is not null)
                values[name] = ToJson(value);
        return values;
    }

    private static JsonElement ToJson(object value) => value switch
    {
        bool flag => JsonSerializer.SerializeToElement(flag, ActivityJson.Default.Boolean),
        int or long or short or byte => JsonSerializer.SerializeToElement(Convert.ToInt64(value, CultureInfo.InvariantCulture), ActivityJson.Default.Int64),
        double number when double.IsFinite(number) => JsonSerializer.SerializeToElement(number, ActivityJson.Default.Double),
        string[] texts => JsonSerializer.SerializeToElement(texts, ActivityJson.Default.StringArray),
        _ => JsonSerializer.SerializeToElement(Convert.ToString(value, CultureInfo.InvariantCulture)!, ActivityJson.Default.String),
    };
}

/// <summary>What happened in a span at a moment.</summary>
public sealed record SpanEvent(string Name, DateTimeOffset At, IReadOnlyDictionary<string, JsonElement> Attributes);

/// <summary>Of things that may come a million times in a trace, ever fewer are kept.</summary>
public static class Thinning
{
    private const int KeptAtFirst = 32;

    /// <summary>All of the first 32, then half as many of each doubling: 96 of 1,000, 160 of 10,000 or so.</summary>
    /// <param name="index">From 0.</param>
    public static bool Keeps(int index)
    {
        var stride = 1;
        while (index / stride >= KeptAtFirst) stride *= 2;
        return index % stride == 0;
    }
}

/// <summary>The names of spans' attributes that OpenTelemetry has none for.</summary>
public static class SpanAttributes
{
    public const string Job = "modelops.job.id";
    public const string JobKind = "modelops.job.kind";

    /// <summary>Runs of the job, from 1.</summary>
    public const string JobAttempt = "modelops.job.attempt";

    /// <summary>Tries of the activity, from 1.</summary>
    public const string ActivityAttempt = "modelops.activity.attempt";

    /// <summary>How long the activity waited for a worker, in seconds.</summary>
    public const string QueueSeconds = "modelops.activity.queue_seconds";

    public const string Step = "modelops.step";
    public const string Deployment = "modelops.deployment";
    public const string Artifact = "modelops.artifact";

    /// <summary>OpenTelemetry's: the type of the failure.</summary>
    public const string ErrorType = "error.type";
}

public static class JobSpans
{
    /// <summary>The span of an activity's try, below the job's own, whatever process it is in; null where the trace is not recorded.</summary>
    public static Activity? StartIn(this ActivitySource source, JobRun run, ActivityInfo activity) =>
        !ActivityContext.TryParse(run.TraceParent, traceState: null, isRemote: true, out var parent) ? null : source.StartActivity(
            activity.ActivityType,
            ActivityKind.Internal,
            parent,
            [
                new(SpanAttributes.Job, activity.WorkflowId),
                new(SpanAttributes.ActivityAttempt, activity.Attempt),
                new(SpanAttributes.QueueSeconds, (activity.StartedTime - activity.CurrentAttemptScheduledTime).TotalSeconds),
            ]);

    /// <summary>Ends as a failure.</summary>
    public static void Fail(this Activity? span, string type, string message)
    {
        span?.SetTag(SpanAttributes.ErrorType, type);
        span?.SetStatus(ActivityStatusCode.Error, message);
    }
}
