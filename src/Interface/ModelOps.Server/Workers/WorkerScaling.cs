namespace ModelOps.Server.Workers;

/// <summary>A process of a role, as far as the decision needs it.</summary>
/// <param name="Instance">Its number within the role.</param>
/// <param name="IsBusy">It runs something: what waits needs another one.</param>
/// <param name="CanStop">It is ready and runs nothing.</param>
/// <param name="IdleSince">When it last ran something, or became ready.</param>
public readonly record struct ProcessSnapshot(int Instance, bool IsBusy, bool CanStop, DateTimeOffset IdleSince);

/// <param name="Waiting">Tasks that wait for a process.</param>
/// <param name="Processes">Those that start or run; not those that are told to stop.</param>
/// <param name="Failures">Deaths in a row; see <see cref="WorkerScaling.FailuresAfter"/>.</param>
/// <param name="LastFailure">When the last of them was.</param>
public sealed record RoleSnapshot(int Waiting, IReadOnlyList<ProcessSnapshot> Processes, int Failures, DateTimeOffset LastFailure);

/// <param name="Start">How many processes to start now.</param>
/// <param name="Stop">The instances to stop now.</param>
/// <param name="RetryAt">When one that died may be started again; null when nothing waits for that.</param>
public sealed record ScalingDecision(int Start, IReadOnlyList<int> Stop, DateTimeOffset? RetryAt);

/// <summary>How many processes a role should have: the decision alone, without a process or a clock.</summary>
public static class WorkerScaling
{
    /// <summary>
    /// One process per task, from min to max. After a death a single process is tried, and that only when its pause is over; what has been idle
    /// for long enough goes, the longest idle first.
    /// </summary>
    public static ScalingDecision Decide(RoleOptions role, WorkersOptions options, RoleSnapshot now, DateTimeOffset at)
    {
        var busy = now.Processes.Count(process => process.IsBusy);
        var wanted = Math.Clamp(busy + now.Waiting, role.Min, role.Max);
        var running = now.Processes.Count;
        if (running < wanted)
        {
            if (now.Failures == 0) return new(wanted - running, [], RetryAt: null);
            var retryAt = now.LastFailure + Pause(now.Failures, options);
            return retryAt <= at ? new(1, [], RetryAt: null) : new(0, [], retryAt);
        }
        var idle = now.Processes
            .Where(process => process.CanStop && at - process.IdleSince >= options.IdleStop)
            .OrderBy(process => process.IdleSince)
            .Take(running - wanted);
        return new(0, [.. idle.Select(process => process.Instance)], RetryAt: null);
    }

    /// <summary>Twice as long with every death in a row, up to the longest.</summary>
    public static TimeSpan Pause(int failures, WorkersOptions options)
    {
        var pause = options.FirstPause * Math.Pow(2, Math.Min(failures - 1, 30));
        return pause < options.LongestPause ? pause : options.LongestPause;
    }

    /// <returns>Deaths in a row, this one with it: one that comes after a healthy life is the first.</returns>
    public static int FailuresAfter(int failures, TimeSpan lived, WorkersOptions options) => lived >= options.HealthyAfter ? 1 : failures + 1;
}
