namespace ModelOps.Temporal;

/// <summary>What one commit writes: everything that changed together is in it together.</summary>
internal sealed record StoreBatch(IReadOnlyList<RunChange> Runs);

/// <summary>A run's row.</summary>
internal sealed record RunRow(
    long Number, RunKey Key, string RequestId, WorkflowExecutionStatus Status, DateTimeOffset StartTime, DateTimeOffset? CloseTime);

/// <summary>What changed in a run since the last batch; making it takes the changes out of the run.</summary>
internal sealed class RunChange(RunRow row, Run run)
{
    public RunRow Row => row;

    /// <summary>New in the history.</summary>
    public HistoryEvent[] Events { get; } = run.History.TakeUnsaved();

    /// <summary>Attempts by scheduled event id; null for an activity that ended.</summary>
    public (long ScheduledEventId, byte[]? Info)[] Activities { get; } = run.Activities.TakeChanged();

    /// <summary>The whole inbox, when it changed.</summary>
    public HistoryEvent[]? Inbox { get; } = run.TakeInbox();
}

/// <summary>An open run as the database has it.</summary>
internal sealed record StoredRun(
    RunRow Row, List<HistoryEvent> Events, List<(long ScheduledEventId, byte[] Info)> Activities, List<HistoryEvent> Inbox);
