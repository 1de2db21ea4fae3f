using System.Text.Json.Serialization;
using Temporalio.Common;

namespace ModelOps.Workflows;

/// <summary>Where work runs: <see cref="Control"/> is the server itself, the others are worker processes, one per role.</summary>
public enum WorkerRole
{
    Control,
    Data,
    Training,
    Quantization,
    Evaluation,
    Inference,
}

public static class WorkerRoleNames
{
    /// <summary>As people write it: <c>training</c>.</summary>
    public static string Name(this WorkerRole role) => role.ToString().ToLowerInvariant();

    /// <summary>Where the role's workers look for activities.</summary>
    public static string TaskQueue(this WorkerRole role) => $"modelops-{role.Name()}";
}

public static class WorkerIdentity
{
    /// <summary>How a worker of this machine names itself: <c>training 4711@machine</c>.</summary>
    public static string Of(WorkerRole role, int processId) => $"{role.Name()} {processId}@{Environment.MachineName}";
}

/// <summary>The contract of an activity: data in, data out, as JSON. <see cref="ActivityLimits"/> says how long and how often it may run.</summary>
public sealed record Activity<TInput, TResult>(string Name, WorkerRole Role, ActivityLimits Limits);

/// <summary>How long an activity may run, how its death is noticed, and how often it is tried. The one table of it.</summary>
public sealed record ActivityLimits
{
    /// <summary>A worker that has not been heard of for so long is dead.</summary>
    public static readonly TimeSpan HeartbeatTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Between two heartbeats.</summary>
    public static readonly TimeSpan HeartbeatInterval = TimeSpan.FromSeconds(1);

    /// <summary>Hours or days in a worker. A worker's death costs one attempt, and a fault of the input none.</summary>
    public static readonly ActivityLimits Work = new()
    {
        StartToClose = TimeSpan.FromDays(7),
        Heartbeat = HeartbeatTimeout,
        Retry = Retries(attempts: 5, longest: TimeSpan.FromMinutes(1)),
    };

    /// <summary>A question to the registry, or a row in it: a database that does not answer is asked again for some ten minutes.</summary>
    public static readonly ActivityLimits Registry = new()
    {
        StartToClose = TimeSpan.FromMinutes(5),
        Retry = Retries(attempts: 25, longest: TimeSpan.FromSeconds(30)),
    };

    /// <summary>Loading a model in the server's charge, which may take minutes: its death is noticed as a worker's is.</summary>
    public static readonly ActivityLimits Serving = new()
    {
        StartToClose = TimeSpan.FromHours(1),
        Heartbeat = HeartbeatTimeout,
        Retry = Retries(attempts: 25, longest: TimeSpan.FromSeconds(30)),
    };

    /// <summary>What a job's record must say in the end: tried for ever.</summary>
    public static readonly ActivityLimits Record = new()
    {
        StartToClose = TimeSpan.FromMinutes(1),
        Retry = Retries(attempts: 0, longest: TimeSpan.FromSeconds(30)),
    };

    public required TimeSpan StartToClose { get; init; }
    public TimeSpan? Heartbeat { get; init; }
    public required RetryPolicy Retry { get; init; }

    private static RetryPolicy Retries(int attempts, TimeSpan longest) => new()
    {
        InitialInterval = TimeSpan.FromSeconds(1),
        BackoffCoefficient = 2,
        MaximumInterval = longest,
        MaximumAttempts = attempts,
        NonRetryableErrorTypes = ActivityFailures.NonRetryable,
    };
}

/// <param name="Stage">What is being done, for people.</param>
/// <param name="Step">Steps, rows or bytes done in this stage.</param>
/// <param name="Total">Of how many; null when unknown.</param>
/// <param name="Metrics">Latest values by name.</param>
public sealed record ActivityProgress(string Stage, long Step, long? Total, IReadOnlyDictionary<string, double> Metrics)
{
    /// <summary>What the job's events are to say, whatever is reported next; null: nothing.</summary>
    public string? Message { get; init; }

    /// <summary>Whether the metrics are a point of the job's series, kept at this step.</summary>
    public bool IsPoint { get; init; }

    /// <summary>Told once, beside the progress, whatever is reported next; null: nothing.</summary>
    [JsonIgnore]
    public SampledText? Sample { get; init; }

    /// <summary>Whether the stage is over with this; for the worker's own spans.</summary>
    [JsonIgnore]
    public bool EndsStage { get; init; }

    public static ActivityProgress Of(string stage, long step = 0, long? total = null) =>
        new(stage, step, total, new Dictionary<string, double>(StringComparer.Ordinal));
}

/// <summary>An activity failed for a reason that the user can read and act on.</summary>
/// <param name="type">Stable name, for example <c>invalid_rows</c>; see <see cref="ActivityFailures"/>, which says whether it is tried again.</param>
public sealed class ActivityException(string type, string message, Exception? cause = null) : Exception(message, cause)
{
    public string FailureType { get; } = type;
}

public static class ActivityFailures
{
    public const string InvalidInput = "invalid_input";
    public const string InvalidRows = "invalid_rows";
    public const string VerificationFailed = "verification_failed";
    public const string ParityFailed = "parity_failed";
    public const string QuantizationFailed = "quantization_failed";
    public const string Diverged = "diverged";
    public const string PluginFailed = "plugin_failed";
    public const string WorkerDied = "worker_died";
    public const string DiskFull = "disk_full";
    public const string Unavailable = "unavailable";
    public const string Internal = "internal";

    /// <summary>The same input would fail in the same way again.</summary>
    public static IReadOnlyCollection<string> NonRetryable { get; } = [InvalidInput, InvalidRows, VerificationFailed, ParityFailed, QuantizationFailed, Diverged, PluginFailed];
}
