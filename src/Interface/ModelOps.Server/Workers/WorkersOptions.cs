using System.ComponentModel.DataAnnotations;
using ModelOps.Workflows;

namespace ModelOps.Server.Workers;

/// <summary>The worker processes of one role.</summary>
public sealed record RoleOptions
{
    public const int MostProcesses = 64;

    /// <summary>Processes that run also when there is nothing to do.</summary>
    [Range(0, MostProcesses)]
    public int Min { get; init; }

    /// <summary>
    /// Processes at most; each takes one task at a time, one of inference as many as its deployments have slots, and as many of those run as a deployment
    /// has replicas. 0: only workers of other machines do this.
    /// </summary>
    [Range(0, MostProcesses)]
    public int Max { get; init; } = 1;

    /// <summary>Threads for arithmetic of each process; without a number the machine's cores but one, shared by the role's processes.</summary>
    [Range(1, 1024)]
    public int? Threads { get; init; }
}

/// <summary>The worker processes that this server starts: how many of each role, with how many threads, and when one ends or starts again.</summary>
public sealed record WorkersOptions : IValidatableObject
{
    public RoleOptions Data { get; init; } = new();

    public RoleOptions Training { get; init; } = new();

    public RoleOptions Quantization { get; init; } = new();

    public RoleOptions Evaluation { get; init; } = new();

    public RoleOptions Inference { get; init; } = new();

    /// <summary>Time without a task after which a process beyond the role's min is stopped.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "30.00:00:00")]
    public TimeSpan IdleStop { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Pause before a process that died is started again; it doubles with every further death.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:10:00")]
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The longest of these pauses.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time that a process must have lived for its death to count as the first again.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan HealthyAfter { get; init; } = TimeSpan.FromMinutes(1);

    /// <exception cref="ArgumentOutOfRangeException">The role is the server itself.</exception>
    public RoleOptions Of(WorkerRole role) => role switch
    {
        WorkerRole.Data => Data,
        WorkerRole.Training => Training,
        WorkerRole.Quantization => Quantization,
        WorkerRole.Evaluation => Evaluation,
        WorkerRole.Inference => Inference,
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "no worker process has this role"),
    };

    /// <summary>
    /// Threads for arithmetic of a process. One core is left to everybody else: the threads of llama.cpp and libtorch wait for each other, and
    /// where one of them has no core all of them stand.
    /// </summary>
    public int ThreadsOf(WorkerRole role, int cores) => Of(role).Threads ?? Math.Max(1, (cores - 1) / Math.Max(1, Of(role).Max));

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        var roles = new[]
        {
            (nameof(Data), Data), (nameof(Training), Training), (nameof(Quantization), Quantization), (nameof(Evaluation), Evaluation), (nameof(Inference), Inference),
        };
        foreach (var (name, role) in roles)
            if (role.Min > role.Max) yield return new($"min is {role.Min} and max {role.Max}; min may be max at most", [name]);
        if (Inference.Max < 1) yield return new($"max is {Inference.Max}; deployments are loaded in processes of this server: at least 1", [nameof(Inference)]);
        if (FirstPause > LongestPause) yield return new("it is longer than longest_pause", [nameof(FirstPause)]);
    }
}
