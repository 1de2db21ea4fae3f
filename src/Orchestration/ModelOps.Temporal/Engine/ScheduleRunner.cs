using System.Text.Json;
using ModelOps.Temporal.Schedules;

namespace ModelOps.Temporal;

/// <summary>A schedule with what its user keeps beside it.</summary>
internal sealed class ScheduleEntry(string ns, string id, string requestId, LiveSchedule live)
{
    public string Namespace => ns;
    public string Id => id;
    public string RequestId => requestId;
    public LiveSchedule Live => live;
    public Memo Memo { get; set; } = new();
    public SearchAttributes SearchAttributes { get; set; } = new();
}

/// <summary>Runs the schedules: starts their workflows when they are due and follows them to their ends. Called in transactions.</summary>
internal sealed class ScheduleRunner : IDisposable
{
    private const string scheduledBy = "TemporalScheduledById";
    private const string scheduledTime = "TemporalScheduledStartTime";
    private const string identity = "temporal-scheduler";
    private readonly Engine engine;
    private readonly SortedDictionary<(string Namespace, string Id), ScheduleEntry> schedules = [];
    private readonly Alarms<ScheduleEntry> alarms;

    public ScheduleRunner(Engine engine)
    {
        this.engine = engine;
        alarms = new Alarms<ScheduleEntry>(engine.Time, Ring);
    }

    public IEnumerable<ScheduleEntry> All(string ns) => schedules.Values.Where(entry => entry.Namespace == ns);

    public ScheduleEntry? Find(string ns, string id) => schedules.GetValueOrDefault((ns, id));

    public void Recover(IEnumerable<StoredSchedule> stored)
    {
        foreach (var schedule in stored)
        {
            var live = new LiveSchedule(schedule.Id, ScheduleState.Read(schedule.State));
            Advance(schedules[(schedule.Namespace, schedule.Id)] = new(schedule.Namespace, schedule.Id, schedule.RequestId, live)
            {
                Memo = schedule.Memo,
                SearchAttributes = schedule.SearchAttributes,
            });
        }
    }

    public void Add(ScheduleEntry entry)
    {
        schedules.Add((entry.Namespace, entry.Id), entry);
        Advance(entry);
    }

    public void Remove(ScheduleEntry entry)
    {
        schedules.Remove((entry.Namespace, entry.Id));
        alarms.Set(entry, DateTimeOffset.MaxValue);
        engine.Write(Writes.DeleteSchedule(entry.Namespace, entry.Id));
    }

    /// <summary>Does what is due, and stores what came of it.</summary>
    public void Advance(ScheduleEntry entry)
    {
        var step = entry.Live.Advance(engine.Time.GetUtcNow());
        foreach (var running in step.Cancel)
            Action(entry, running)?.Signals.RequestCancel(new() { Cause = "cancelled by schedule overlap policy", Identity = identity });
        foreach (var running in step.Terminate)
            Action(entry, running)?.Lifetime.Terminate("terminated by schedule overlap policy", null, identity);
        foreach (var start in step.Starts)
            entry.Live.Started(start, Start(entry, start), engine.Time.GetUtcNow());
        alarms.Set(entry, step.WakeAt ?? DateTimeOffset.MaxValue);
        Save(entry);
    }

    /// <summary>A run ended for good: when a schedule started it, the schedule goes on.</summary>
    public void Closed(Run run, HistoryEvent end)
    {
        if (run.Start.SearchAttributes is not { } attributes || !attributes.IndexedFields.TryGetValue(scheduledBy, out var by))
            return;
        using var value = JsonDocument.Parse(by.Data.Memory);
        var id = value.RootElement.GetString() ?? "";
        if (Find(run.Key.Namespace, id) is not { } entry)
            return;
        entry.Live.Closed(
            run.Key.WorkflowId,
            run.Lifetime.Status,
            end.WorkflowExecutionCompletedEventAttributes?.Result,
            end.WorkflowExecutionFailedEventAttributes?.Failure);
        Advance(entry);
    }

    public void Dispose() => alarms.Dispose();

    private static Payload Json(string value, string type) => new()
    {
        Metadata = { ["encoding"] = ByteString.CopyFromUtf8("json/plain"), ["type"] = ByteString.CopyFromUtf8(type) },
        Data = ByteString.CopyFromUtf8($"\"{JsonEncodedText.Encode(value)}\""),
    };

    private Run? Action(ScheduleEntry entry, WorkflowExecution execution) =>
        engine.FindOpen(entry.Namespace, new() { WorkflowId = execution.WorkflowId }) is { Closed: false } run
        && run.Start.FirstExecutionRunId == execution.RunId
            ? run
            : null;

    /// <returns>Null when the workflow id is taken.</returns>
    private WorkflowExecution? Start(ScheduleEntry entry, ScheduledStart due)
    {
        var wanted = entry.Live.State.Schedule.Action.StartWorkflow;
        var existing = engine.FindRow(entry.Namespace, new() { WorkflowId = due.WorkflowId });
        if (IdPolicies.Decide(existing, wanted.WorkflowIdReusePolicy, WorkflowIdConflictPolicy.Fail) != IdDecision.Start)
            return null;
        var key = new RunKey(entry.Namespace, due.WorkflowId, $"{Guid.NewGuid()}");
        var attributes = wanted.SearchAttributes?.Clone() ?? new();
        attributes.IndexedFields[scheduledBy] = Json(entry.Id, "Keyword");
        attributes.IndexedFields[scheduledTime] = Json($"{due.Nominal.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}", "Datetime");
        var start = StartEvents.OfRequest(
            new()
            {
                WorkflowId = due.WorkflowId,
                WorkflowType = wanted.WorkflowType,
                TaskQueue = wanted.TaskQueue,
                Input = wanted.Input,
                WorkflowExecutionTimeout = wanted.WorkflowExecutionTimeout,
                WorkflowRunTimeout = wanted.WorkflowRunTimeout,
                WorkflowTaskTimeout = wanted.WorkflowTaskTimeout,
                RetryPolicy = wanted.RetryPolicy,
                Memo = wanted.Memo,
                SearchAttributes = attributes,
                Header = wanted.Header,
                Identity = identity,
                Priority = wanted.Priority,
                LastCompletionResult = entry.Live.State.LastResult,
                ContinuedFailure = entry.Live.State.LastFailure,
            },
            key.RunId,
            engine.Time.GetUtcNow());
        return engine.Start(key, $"{Guid.NewGuid()}", run => run.Lifetime.Begin(start, wanted.UserMetadata)).Execution;
    }

    private void Save(ScheduleEntry entry) => engine.Write(Writes.Schedule(new(
        entry.Namespace, entry.Id, entry.RequestId, entry.Live.State.Write(), entry.Memo, entry.SearchAttributes)));

    private void Ring() => engine.Transact(() =>
    {
        foreach (var entry in alarms.TakeDue())
            Advance(entry);
        return true;
    });
}
