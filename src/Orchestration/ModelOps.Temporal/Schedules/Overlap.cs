namespace ModelOps.Temporal.Schedules;

/// <summary>A start that is due and waits for its turn.</summary>
/// <param name="Nominal">The time that the spec names, in the workflow's id; <paramref name="Actual"/> is with jitter.</param>
/// <param name="Policy">Unspecified for the schedule's own, whatever it is when the turn comes.</param>
/// <param name="Manual">Triggered or backfilled: neither a pause nor the limit of actions holds it back.</param>
public sealed record BufferedStart(DateTimeOffset Nominal, DateTimeOffset Actual, ScheduleOverlapPolicy Policy, bool Manual);

/// <summary>What the overlap policies make of the starts that are due.</summary>
/// <param name="Concurrent">To start now, whatever runs.</param>
/// <param name="Next">To start now as the one that others wait for.</param>
/// <param name="Waiting">Stay in the buffer until the running one has closed.</param>
internal sealed record Overlap(
    IReadOnlyList<BufferedStart> Concurrent, BufferedStart? Next, IReadOnlyList<BufferedStart> Waiting, bool Cancel, bool Terminate, int Skipped)
{
    /// <param name="running">Whether an action of the schedule runs that was not started as a concurrent one.</param>
    public static Overlap Decide(IEnumerable<BufferedStart> due, bool running, ScheduleOverlapPolicy schedulePolicy)
    {
        var (concurrent, waiting) = (new List<BufferedStart>(), new List<BufferedStart>());
        BufferedStart? next = null;
        var (cancel, terminate, skipped) = (false, false, 0);
        foreach (var start in due)
        {
            var policy = start.Policy != ScheduleOverlapPolicy.Unspecified ? start.Policy : schedulePolicy;
            if (policy == ScheduleOverlapPolicy.AllowAll) concurrent.Add(start);
            else if (!running && next is null) next = start;
            else if (policy == ScheduleOverlapPolicy.BufferAll || (policy == ScheduleOverlapPolicy.BufferOne && waiting.Count == 0)) waiting.Add(start);
            else if (policy is ScheduleOverlapPolicy.CancelOther or ScheduleOverlapPolicy.TerminateOther)
            {
                if (!running)
                {
                    next = start; // what it would stop has not begun
                    continue;
                }
                cancel |= policy == ScheduleOverlapPolicy.CancelOther;
                terminate |= policy == ScheduleOverlapPolicy.TerminateOther;
                waiting.Add(start);
            }
            else skipped++;
        }
        return new(concurrent, next, waiting, cancel, terminate, skipped);
    }
}
