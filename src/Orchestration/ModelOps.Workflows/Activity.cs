using System.Text.Json.Serialization.Metadata;

namespace ModelOps.Workflows;

/// <summary>Where work runs: <see cref="Control"/> is the server itself, the others are worker processes, one per role.</summary>
public enum WorkerRole
{
    Control,
    Data,
    Training,
    Quantization,
    Inference,
}

public static class WorkerRoleNames
{
    /// <summary>As people write it: <c>training</c>.</summary>
    public static string Name(this WorkerRole role) => role.ToString().ToLowerInvariant();
}

/// <summary>The contract of an activity: data in, data out, as JSON.</summary>
public sealed record Activity<TInput, TResult>(
    string Name, WorkerRole Role, JsonTypeInfo<TInput> InputType, JsonTypeInfo<TResult> ResultType);

/// <param name="Stage">What is being done, for people.</param>
/// <param name="Step">Steps, rows or bytes done in this stage.</param>
/// <param name="Total">Of how many; null when unknown.</param>
/// <param name="Metrics">Latest values by name.</param>
public sealed record ActivityProgress(string Stage, long Step, long? Total, IReadOnlyDictionary<string, double> Metrics)
{
    public static ActivityProgress Of(string stage, long step = 0, long? total = null) =>
        new(stage, step, total, new Dictionary<string, double>(StringComparer.Ordinal));
}

/// <summary>An activity failed for a reason that the user can read and act on.</summary>
/// <param name="type">Stable name, for example <c>invalid_rows</c>; see <see cref="ActivityFailures"/>.</param>
public sealed class ActivityException(string type, string message, bool retryable = false, Exception? cause = null)
    : Exception(message, cause)
{
    public string FailureType { get; } = type;
    public bool Retryable { get; } = retryable;
}

public static class ActivityFailures
{
    public const string InvalidInput = "invalid_input";
    public const string InvalidRows = "invalid_rows";
    public const string VerificationFailed = "verification_failed";
    public const string ParityFailed = "parity_failed";
    public const string Diverged = "diverged";
    public const string WorkerDied = "worker_died";
    public const string Internal = "internal";
}

/// <summary>Runs activities for a workflow, wherever their role says.</summary>
public interface IActivityInvoker
{
    /// <exception cref="ActivityException">The activity failed.</exception>
    Task<TResult> ExecuteAsync<TInput, TResult>(Activity<TInput, TResult> activity, TInput input, CancellationToken cancellationToken);
}
