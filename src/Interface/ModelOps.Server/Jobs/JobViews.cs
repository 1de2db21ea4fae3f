using System.Diagnostics;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Workflows;

namespace ModelOps.Server.Jobs;

/// <summary>Rows in the wire's words.</summary>
internal static class JobViews
{
    // Keys of Temporal's priorities: from 1, the most urgent, to 5.
    private const int HighKey = 1;
    private const int NormalKey = 3;
    private const int LowKey = 5;

    public static Job ToWire(JobRow row) => new()
    {
        Id = row.Id,
        Kind = row.Kind,
        State = State(row.State),
        Step = row.Step,
        Attempts = row.Attempts,
        Priority = row.Priority switch { < NormalKey => JobPriority.High, NormalKey => JobPriority.Normal, _ => JobPriority.Low },
        CreatedBy = row.CreatedBy,
        TraceId = ActivityContext.TryParse(row.TraceParent, traceState: null, out var trace) ? trace.TraceId.ToHexString() : null,
        CreatedAt = row.CreatedAt,
        StartedAt = row.StartedAt,
        FinishedAt = row.FinishedAt,
        Input = JsonElement.Parse(row.Input),
        Result = row.Result is null ? null : JsonElement.Parse(row.Result),
        Artifacts = row.Artifact?.Split(' ') ?? [],
        Progress = Progress(row.Progress),
        Error = row.ErrorType is null ? null : new JobError(row.ErrorType, row.ErrorMessage ?? "", Advice(row.ErrorType)),
    };

    public static JobEvent ToWire(JobEventRow row) => new()
    {
        Sequence = row.Sequence,
        At = row.At,
        State = State(row.State),
        Progress = Progress(row.Progress),
        Message = row.Message,
    };

    public static JobLogEntry ToWire(JobLogRow row) => new()
    {
        Sequence = row.Sequence,
        At = row.At,
        Level = (JobLogLevel)LevelOf(row.Level),
        Step = row.Step,
        Attempt = row.Attempt,
        TraceId = row.TraceId,
        SpanId = row.SpanId,
        Text = row.Text,
    };

    /// <summary>A worker of another version may have another word for it.</summary>
    public static LogLevel LevelOf(string text) =>
        Enum.TryParse<LogLevel>(text, ignoreCase: true, out var level) && level is >= LogLevel.Trace and < LogLevel.None ? level : LogLevel.Information;

    public static int KeyOf(JobPriority priority) => priority switch
    {
        JobPriority.High => HighKey,
        JobPriority.Normal => NormalKey,
        JobPriority.Low => LowKey,
        _ => throw new ArgumentOutOfRangeException(nameof(priority), priority, "no such priority"),
    };

    public static string Text(JobState state) => state.ToString().ToLowerInvariant();

    public static JobState State(string text) => Enum.Parse<JobState>(text, ignoreCase: true);

    public static JobState State(JobPhase phase) => phase switch
    {
        JobPhase.Started or JobPhase.Resumed => JobState.Running,
        JobPhase.Paused => JobState.Paused,
        JobPhase.Succeeded => JobState.Succeeded,
        JobPhase.Failed => JobState.Failed,
        JobPhase.Canceled => JobState.Canceled,
        _ => throw new ArgumentOutOfRangeException(nameof(phase), phase, "no such phase"),
    };

    private static string Advice(string errorType) => errorType switch
    {
        ActivityFailures.InvalidInput => "Change what the message names and start a new job.",
        ActivityFailures.InvalidRows => "Mend the rows that the message names, or let more of them be bad with --max-bad, and start a new job.",
        ActivityFailures.VerificationFailed => "Something changed the artifact after it was signed: do not use it; 'modelops artifacts verify' tells more.",
        ActivityFailures.ParityFailed => "The exported model does not say what the trained one says: do not deploy it, and report this.",
        ActivityFailures.QuantizationFailed => "Choose another type, or mend what the message names, and start a new job.",
        ActivityFailures.Diverged => "Lower the learning rate, or look at the rows around the step that the message names.",
        ActivityFailures.PluginFailed => "Mend the plugin that the message names, allow its new digest, and start a new job; or leave it out.",
        ActivityFailures.WorkerDied => "See the job's log and the server's for its last words; with enough memory, 'modelops jobs retry' goes on.",
        ActivityFailures.DiskFull => "Free space on the disk that the message names; 'modelops jobs retry' goes on.",
        ActivityFailures.Unavailable => "See that what the message names answers again; 'modelops jobs retry' goes on.",
        _ => "The server's log has the details; 'modelops jobs retry' tries it again.",
    };

    private static JobProgress? Progress(string? json) => json is null ? null : JsonSerializer.Deserialize(json, WireJson.Default.JobProgress);
}
