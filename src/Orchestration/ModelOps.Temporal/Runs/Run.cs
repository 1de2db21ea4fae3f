namespace ModelOps.Temporal;

/// <summary>
/// One workflow run: its state is the fold of its history, and every event of that history is made here. Pure: what must happen
/// outside the run (a task to hand out, a child to start) is left in <see cref="Effects"/>.
/// </summary>
internal sealed class Run
{
    private readonly RunPart[] parts;
    private bool inboxChanged;

    public Run(RunKey key, long number, string requestId, TimeProvider time)
    {
        Key = key;
        Number = number;
        RequestId = requestId;
        Time = time;
        Lifetime = new Lifetime(this);
        Task = new WorkflowTask(this);
        Activities = new Activities(this);
        Timers = new Timers(this);
        Children = new Children(this);
        Signals = new Signals(this);
        Updates = new Updates(this);
        Properties = new Properties(this);
        parts = [Lifetime, Task, Activities, Timers, Children, Signals, Updates, Properties];
    }

    public RunKey Key { get; }

    /// <summary>The run's number in the database, and the order of starts.</summary>
    public long Number { get; }

    /// <summary>Of the request that started it: a repeated request finds its run.</summary>
    public string RequestId { get; }

    public TimeProvider Time { get; }
    public RunHistory History { get; } = new();
    public Lifetime Lifetime { get; }
    public WorkflowTask Task { get; }
    public Activities Activities { get; }
    public Timers Timers { get; }
    public Children Children { get; }
    public Signals Signals { get; }
    public Updates Updates { get; }
    public Properties Properties { get; }
    public Queries Queries { get; } = new();

    /// <summary>Events that came while a workflow task was in flight: they follow that task's completion.</summary>
    public List<HistoryEvent> Inbox { get; } = [];

    /// <summary>The commands of a workflow task become events: nothing comes between them.</summary>
    public bool IsDeciding { get; set; }

    public Queue<Effect> Effects { get; } = new();

    /// <summary>Grows with every change that somebody may wait for.</summary>
    public long Revision { get; private set; }

    /// <summary>Its tasks that wait for a worker.</summary>
    public HashSet<Offer> Offers { get; } = [];

    /// <summary>Whether something is not stored yet.</summary>
    public bool IsChanged => History.HasUnsaved || Activities.IsChanged || inboxChanged;

    public WorkflowExecutionStartedEventAttributes Start => Lifetime.Start;
    public bool Closed => Lifetime.Status != WorkflowExecutionStatus.Running;
    public WorkflowExecution Execution => new() { WorkflowId = Key.WorkflowId, RunId = Key.RunId };
    public DateTimeOffset Now => Time.GetUtcNow();

    /// <summary>When <see cref="Elapse"/> has something to do next.</summary>
    public DateTimeOffset Deadline => Closed ? DateTimeOffset.MaxValue : parts.Min(part => part.Deadline);

    /// <summary>A run as its stored history leaves it.</summary>
    public static Run Restore(RunKey key, long number, string requestId, TimeProvider time, IEnumerable<HistoryEvent> events)
    {
        var run = new Run(key, number, requestId, time);
        foreach (var stored in events)
        {
            run.History.AddStored(stored);
            run.Apply(stored);
        }
        run.History.Trim(run.Task.LastStartedEventId);
        return run;
    }

    /// <summary>Takes over the beginning of another run's history.</summary>
    public void Adopt(IEnumerable<HistoryEvent> events)
    {
        foreach (var adopted in events.Select(e => e.Clone()))
        {
            History.Add(adopted);
            Apply(adopted);
        }
    }

    /// <summary>Adds the next event of the history.</summary>
    public HistoryEvent Append(HistoryEvent next)
    {
        foreach (var part in parts)
            part.Wire(next);
        next.EventId = History.Count + 1;
        next.TaskId = next.EventId;
        next.EventTime ??= Timestamp.FromDateTimeOffset(Now);
        next.EventType = EventTypes.Of(next);
        History.Add(next);
        Apply(next);
        Revision++;
        return next;
    }

    /// <summary>
    /// Takes events from outside. They wait in the inbox while a workflow task is in flight, because the events of its commands
    /// directly follow its completion.
    /// </summary>
    public void Receive(params ReadOnlySpan<HistoryEvent> events)
    {
        if (Closed)
            return;
        foreach (var received in events)
        {
            if (Task.State == WorkflowTaskState.Started || IsDeciding)
            {
                received.EventTime = Timestamp.FromDateTimeOffset(Now);
                AddToInbox(received);
                inboxChanged = true;
            }
            else
            {
                Append(received);
            }
        }
        if (!IsDeciding)
            Task.Schedule();
    }

    public void AddToInbox(HistoryEvent received)
    {
        Inbox.Add(received);
        foreach (var part in parts)
            part.Expect(received);
    }

    /// <summary>Takes an event out of the inbox that no longer counts.</summary>
    public void RemoveFromInbox(Predicate<HistoryEvent> match) => inboxChanged |= Inbox.RemoveAll(match) > 0;

    /// <summary>Moves the inbox into the history.</summary>
    /// <returns>Whether there was anything.</returns>
    public bool FlushInbox()
    {
        if (Inbox.Count == 0)
            return false;
        var events = Inbox.ToArray();
        Inbox.Clear();
        inboxChanged = true;
        foreach (var received in events)
            Append(received);
        return true;
    }

    /// <summary>Something changed that is not history.</summary>
    public void Change() => Revision++;

    /// <summary>The inbox, when it is not stored as it is.</summary>
    public HistoryEvent[]? TakeInbox()
    {
        var taken = inboxChanged ? Inbox.ToArray() : null;
        inboxChanged = false;
        return taken;
    }

    /// <summary>Goes on after a restart of the service.</summary>
    public void Resume()
    {
        Activities.Resume();
        Task.Resume();
    }

    /// <summary>Does what is due: timeouts, timers, retries.</summary>
    public void Elapse()
    {
        var now = Now;
        foreach (var part in parts)
        {
            if (!Closed)
                part.Elapse(now);
        }
    }

    private void Apply(HistoryEvent applied)
    {
        foreach (var part in parts)
            part.Apply(applied);
    }
}

/// <summary>A run's names. Temporal's run ids are unique by themselves.</summary>
internal sealed record RunKey(string Namespace, string WorkflowId, string RunId);
