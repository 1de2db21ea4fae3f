using ModelOps.Temporal.Visibility;

namespace ModelOps.Temporal;

/// <summary>What one commit writes: everything that changed together is in it together.</summary>
internal sealed record StoreBatch(IReadOnlyList<RunChange> Runs, IReadOnlyList<SqlStatement> Others);

/// <summary>A run's row.</summary>
internal sealed record RunRow(
    long Number, RunKey Key, string RequestId, WorkflowExecutionStatus Status, DateTimeOffset StartTime, DateTimeOffset? CloseTime)
{
    public static RunRow Of(Run run) =>
        new(run.Number, run.Key, run.RequestId, run.Lifetime.Status, run.Lifetime.StartTime, run.Lifetime.CloseTime);
}

/// <summary>What changed in a run since the last batch; making it takes the changes out of the run.</summary>
internal sealed class RunChange
{
    public RunChange(Run run, IReadOnlyDictionary<string, IndexedValueType> types)
    {
        Row = RunRow.Of(run);
        Events = run.History.TakeUnsaved();
        Activities = run.Activities.TakeChanged();
        // As bytes now: an event of the inbox changes when it moves into the history, while the writer still has it.
        Inbox = run.TakeInbox()?.Select(received => received.ToByteArray()).ToArray();
        if (Events.Any(Lifetime.IsVisible))
            Visibility = VisibilityTable.Put(run.Key.Namespace, RunInfo.Of(run), types);
    }

    public RunRow Row { get; }

    /// <summary>New in the history.</summary>
    public HistoryEvent[] Events { get; }

    /// <summary>Attempts by scheduled event id; null for an activity that ended.</summary>
    public (long ScheduledEventId, byte[]? Info)[] Activities { get; }

    /// <summary>The whole inbox, when it changed.</summary>
    public byte[][]? Inbox { get; }

    /// <summary>The row that lists show, when it changed.</summary>
    public SqlStatement? Visibility { get; }
}

/// <summary>An open run as the database has it.</summary>
internal sealed record StoredRun(
    RunRow Row, List<HistoryEvent> Events, List<(long ScheduledEventId, byte[] Info)> Activities, List<HistoryEvent> Inbox);

/// <summary>A schedule as the database has it.</summary>
internal sealed record StoredSchedule(
    string Namespace, string Id, string RequestId, byte[] State, Memo Memo, SearchAttributes SearchAttributes);
