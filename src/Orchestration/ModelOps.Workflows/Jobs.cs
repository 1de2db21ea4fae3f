using System.Text.Json;

namespace ModelOps.Workflows;

/// <summary>Which run of a job a workflow is. Its id is the job's.</summary>
/// <param name="Attempt">From 1; a retry is the same job again.</param>
/// <param name="TraceParent">W3C trace context of the request that asked for it.</param>
public sealed record JobRun(int Attempt, string? TraceParent);

/// <summary>What a job's record is to say. Told at least once: a change that is told twice, or by a run before the job's last, changes nothing.</summary>
/// <param name="Output">Of the workflow, when it succeeded.</param>
/// <param name="Error">When it failed.</param>
public sealed record JobChange(JobRun Run, JobPhase Phase, JsonElement? Output = null, JobFailure? Error = null);

/// <summary>The record is written.</summary>
public sealed record JobChanged;

public enum JobPhase
{
    Started,
    Paused,
    Resumed,
    Succeeded,
    Failed,
    Canceled,
}

/// <param name="Type">One of <see cref="ActivityFailures"/>.</param>
public sealed record JobFailure(string Type, string Message);

/// <summary>Where a workflow stands.</summary>
/// <param name="Step">The activity that runs or waits for a worker; null before the first and behind the last.</param>
public sealed record JobPosition(string? Step, int StepsDone, bool Paused);

/// <summary>What a worker tells of an activity while it runs: a batch, newest progress and every line, message and point.</summary>
/// <param name="Activity">The activity's name.</param>
/// <param name="Attempt">Of the activity, from 1.</param>
/// <param name="ActivityId">Within the workflow.</param>
/// <param name="Worker">Where it runs: <c>training 4711@machine</c>.</param>
/// <param name="Progress">Null: nothing new.</param>
/// <param name="Messages">For the job's events.</param>
/// <param name="Points">For the job's series of metrics.</param>
public sealed record JobReport(
    string Activity,
    string ActivityId,
    int Attempt,
    string Worker,
    ActivityProgress? Progress,
    IReadOnlyList<JobLogLine> Lines,
    IReadOnlyList<string>? Messages = null,
    IReadOnlyList<MetricPoint>? Points = null);

/// <summary>Metrics by name at a step of the job's work.</summary>
public sealed record MetricPoint(long Step, DateTimeOffset At, IReadOnlyDictionary<string, double> Values);

/// <summary>What a worker needs to know of the server that it works for.</summary>
/// <param name="Namespace">Of the workflows.</param>
public sealed record WorkerSettings(string Namespace);

/// <param name="Level">As .NET names it: <c>Information</c>, <c>Warning</c>, …</param>
/// <param name="TraceId">Of the span in which it was logged, as is <paramref name="SpanId"/>; null: the job's own.</param>
public sealed record JobLogLine(DateTimeOffset At, string Level, string Text, string? TraceId = null, string? SpanId = null);
