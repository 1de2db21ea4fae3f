using System.Globalization;
using Temporalio.Api.Schedule.V1;

namespace ModelOps.Temporal.Schedules;

/// <summary>What a schedule wants done. A start that was done is told by <see cref="LiveSchedule.Started"/>, its end by <see cref="LiveSchedule.Closed"/>.</summary>
/// <param name="WakeAt">When to advance again; null when only a change by its user or the end of an action can bring more.</param>
public sealed record ScheduleStep(
    IReadOnlyList<ScheduledStart> Starts, IReadOnlyList<WorkflowExecution> Cancel, IReadOnlyList<WorkflowExecution> Terminate, DateTimeOffset? WakeAt);

/// <param name="Watched">Whether others wait for its end: not so for one that overlaps by AllowAll.</param>
public sealed record ScheduledStart(string WorkflowId, DateTimeOffset Nominal, DateTimeOffset Actual, bool Watched);

/// <summary>
/// One schedule's decisions, apart from clocks, storage and workflows: it is told the time and what became of its actions, and says what to do. Every
/// call changes <see cref="State"/>, to be stored together with the effects.
/// </summary>
public sealed class LiveSchedule
{
    private const int MaxBuffer = 1000;
    private const int MaxRecent = 10;
    private const int FutureTimes = 10;
    private static readonly TimeSpan defaultCatchup = TimeSpan.FromDays(365);
    private static readonly TimeSpan leastCatchup = TimeSpan.FromSeconds(10);

    private readonly string id;
    private CompiledSpec spec;

    /// <param name="id">Seed of the jitter.</param>
    /// <exception cref="ScheduleException">The spec is wrong.</exception>
    public LiveSchedule(string id, ScheduleState state)
    {
        (this.id, State) = (id, state);
        spec = CompiledSpec.Compile(state.Schedule.Spec ?? new());
    }

    public ScheduleState State { get; }

    private Schedule Schedule => State.Schedule;

    private bool Paused => Schedule.State?.Paused == true;

    private TimeSpan Catchup => Schedule.Policies?.CatchupWindow?.ToTimeSpan() is { } window && window > TimeSpan.Zero
        ? window < leastCatchup ? leastCatchup : window
        : defaultCatchup;

    private ScheduleOverlapPolicy Policy =>
        Schedule.Policies?.OverlapPolicy is { } policy and not ScheduleOverlapPolicy.Unspecified ? policy : ScheduleOverlapPolicy.Skip;

    /// <exception cref="ScheduleException">The spec is wrong.</exception>
    public static LiveSchedule Create(string id, Schedule schedule, DateTimeOffset now) => new(id, new()
    {
        Schedule = schedule.Clone(),
        Info = new() { CreateTime = now.ToTimestamp() },
        ProcessedUntil = now,
    });

    /// <summary>Buffers what came due since the last call, then starts what the overlap policies let start.</summary>
    public ScheduleStep Advance(DateTimeOffset now)
    {
        // Not now: a time before it can still be ahead by its jitter.
        State.ProcessedUntil = Collect(State.ProcessedUntil, now, ScheduleOverlapPolicy.Unspecified, backfill: false, now);
        var info = State.Info;
        var overlap = Overlap.Decide(State.Buffer, info.RunningWorkflows.Count > 0, Policy);
        State.Buffer = overlap.Waiting;
        info.OverlapSkipped += overlap.Skipped;
        info.BufferSize = overlap.Waiting.Count;
        var starts = new List<ScheduledStart>();
        foreach (var start in overlap.Concurrent)
            if (TakeAction(start)) starts.Add(Start(start, watched: false));
        if (overlap.Next is { } next && TakeAction(next)) starts.Add(Start(next, watched: true));
        IReadOnlyList<WorkflowExecution> running = [.. info.RunningWorkflows];
        return new(starts, overlap.Cancel ? running : [], overlap.Terminate ? running : [], WakeAt());
    }

    /// <param name="execution">Null where it could not be started, because its id is taken.</param>
    public void Started(ScheduledStart start, WorkflowExecution? execution, DateTimeOffset now)
    {
        if (execution is null) return;
        var info = State.Info;
        info.ActionCount++;
        info.RecentActions.Add(new ScheduleActionResult
        {
            ScheduleTime = start.Actual.ToTimestamp(),
            ActualTime = now.ToTimestamp(),
            StartWorkflowResult = execution,
            StartWorkflowStatus = WorkflowExecutionStatus.Running,
        });
        while (info.RecentActions.Count > MaxRecent) info.RecentActions.RemoveAt(0);
        if (start.Watched) info.RunningWorkflows.Add(execution);
    }

    /// <summary>An action ended for good: its retries and continued runs are one action. <see cref="Advance"/> then starts what waited for it.</summary>
    /// <param name="workflowId">Of the action; its runs share it.</param>
    public void Closed(string workflowId, WorkflowExecutionStatus status, Payloads? result, Failure? failure)
    {
        var info = State.Info;
        foreach (var action in info.RecentActions)
            if (action.StartWorkflowResult.WorkflowId == workflowId && action.StartWorkflowStatus == WorkflowExecutionStatus.Running) action.StartWorkflowStatus = status;
        if (info.RunningWorkflows.FirstOrDefault(running => running.WorkflowId == workflowId) is { } watched) info.RunningWorkflows.Remove(watched);
        if (status == WorkflowExecutionStatus.Completed) (State.LastResult, State.LastFailure) = (result, null);
        if (status is not (WorkflowExecutionStatus.Failed or WorkflowExecutionStatus.TimedOut)) return;
        State.LastFailure = failure;
        if (Schedule.Policies?.PauseOnFailure != true || Paused) return;
        var what = status == WorkflowExecutionStatus.Failed ? "failure" : "timeout";
        Pause(paused: true, $"paused due to workflow {what}: {workflowId}{(failure is null ? "" : $": {failure.Message}")}");
    }

    /// <summary>Replaces the schedule; times between the last call and now that only the new spec names do not count.</summary>
    /// <param name="conflictToken">Zero for any.</param>
    /// <returns>False where it changed since the token was read.</returns>
    /// <exception cref="ScheduleException">The spec is wrong; nothing changed.</exception>
    public bool Update(Schedule schedule, long conflictToken, DateTimeOffset now)
    {
        if (conflictToken != 0 && conflictToken != State.ConflictToken) return false;
        spec = CompiledSpec.Compile(schedule.Spec ?? new());
        State.Schedule = schedule.Clone();
        State.ProcessedUntil = now;
        State.Info.UpdateTime = now.ToTimestamp();
        State.ConflictToken++;
        return true;
    }

    /// <summary>Triggers, backfills, pauses or unpauses; <see cref="Advance"/> then does it.</summary>
    public void Patch(SchedulePatch patch, DateTimeOffset now)
    {
        if (patch.TriggerImmediately is { } trigger)
        {
            var nominal = DateTimeOffset.FromUnixTimeSeconds((trigger.ScheduledTime?.ToDateTimeOffset() ?? now).ToUnixTimeSeconds());
            Add(new(nominal, now, trigger.OverlapPolicy, Manual: true));
        }
        foreach (var backfill in patch.BackfillRequest)
            Collect(backfill.StartTime.ToDateTimeOffset().AddSeconds(-1), backfill.EndTime.ToDateTimeOffset(), backfill.OverlapPolicy, backfill: true, now);
        if (patch.Pause.Length > 0) Pause(paused: true, patch.Pause);
        if (patch.Unpause.Length > 0) Pause(paused: false, patch.Unpause);
        State.Info.UpdateTime = now.ToTimestamp();
        State.ConflictToken++;
    }

    /// <summary>Times that the spec names in a range, with jitter: for ListScheduleMatchingTimes.</summary>
    public IEnumerable<DateTimeOffset> Times(DateTimeOffset from, DateTimeOffset to)
    {
        for (var time = spec.Next(from.AddSeconds(-1), id); time is { } next && next.Nominal <= to; time = spec.Next(next.Nominal, id)) yield return next.Actual;
    }

    /// <summary>The schedule as a describe answers it: canonical spec, and the times that come next.</summary>
    public (Schedule Schedule, ScheduleInfo Info) Describe()
    {
        var schedule = Schedule.Clone();
        schedule.Spec = spec.Canonical;
        schedule.Policies ??= new();
        schedule.Policies.OverlapPolicy = Policy;
        schedule.Policies.CatchupWindow = Catchup.ToDuration();
        schedule.State ??= new();
        var info = State.Info.Clone();
        info.FutureActionTimes.Clear();
        var time = State.ProcessedUntil;
        while (info.FutureActionTimes.Count < Math.Min(FutureTimes, Remaining()) && spec.Next(time, id) is { } next)
        {
            info.FutureActionTimes.Add(next.Actual.ToTimestamp());
            time = next.Nominal;
        }
        return (schedule, info);
    }

    /// <returns>The last time of the range, or where the range begins.</returns>
    private DateTimeOffset Collect(DateTimeOffset after, DateTimeOffset until, ScheduleOverlapPolicy policy, bool backfill, DateTimeOffset now)
    {
        while (spec.Next(after, id) is { } next && (backfill ? next.Nominal : next.Actual) <= until)
        {
            after = next.Nominal;
            if (!backfill && (Paused || Remaining() == 0)) continue;
            if (!backfill && now - next.Actual > Catchup) State.Info.MissedCatchupWindow++;
            else Add(new(next.Nominal, next.Actual, policy, Manual: backfill));
        }
        return after;
    }

    private void Add(BufferedStart start)
    {
        if (State.Buffer.Count >= MaxBuffer) State.Info.BufferDropped++;
        else State.Buffer = [.. State.Buffer, start];
        State.Info.BufferSize = State.Buffer.Count;
    }

    private bool TakeAction(BufferedStart start)
    {
        if (start.Manual) return true;
        if (Paused || Remaining() == 0) return false;
        if (Schedule.State is { LimitedActions: true } state) state.RemainingActions--;
        return true;
    }

    private long Remaining() => Schedule.State is { LimitedActions: true } state ? state.RemainingActions : long.MaxValue;

    private ScheduledStart Start(BufferedStart start, bool watched)
    {
        var named = Schedule.Action?.StartWorkflow?.WorkflowId ?? "";
        var workflowId = Schedule.Policies?.KeepOriginalWorkflowId == true
            ? named
            : $"{named}-{start.Nominal.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)}";
        return new(workflowId, start.Nominal, start.Actual, watched);
    }

    private void Pause(bool paused, string note)
    {
        Schedule.State ??= new();
        Schedule.State.Paused = paused;
        Schedule.State.Notes = note;
    }

    private DateTimeOffset? WakeAt() => Paused || Remaining() == 0 ? null : spec.Next(State.ProcessedUntil, id)?.Actual;
}
