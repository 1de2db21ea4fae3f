namespace ModelOps.Temporal;

/// <summary>One concern of a run: it owns its state, which is a fold of the history, and makes the events that concern it.</summary>
internal abstract class RunPart(Run run)
{
    /// <summary>When <see cref="Elapse"/> has something to do.</summary>
    public virtual DateTimeOffset Deadline => DateTimeOffset.MaxValue;

    protected Run Run => run;

    /// <summary>Takes an event of the history into the state.</summary>
    public abstract void Apply(HistoryEvent applied);

    /// <summary>Learns of an event that waits in the inbox.</summary>
    public virtual void Expect(HistoryEvent received)
    {
    }

    public virtual void Elapse(DateTimeOffset now)
    {
    }
}

/// <summary>What a run wants done outside itself.</summary>
internal abstract record Effect
{
    public sealed record DispatchWorkflowTask : Effect;

    public sealed record DispatchActivity(Activity Activity) : Effect;

    /// <summary>The run closed with an event; <paramref name="Next"/> is the run that follows it.</summary>
    public sealed record Closed(HistoryEvent Event, NextRun? Next) : Effect;
}

/// <summary>The run that continues another one: by itself (continue-as-new), by retry policy or by cron.</summary>
internal sealed record NextRun(string RunId, WorkflowExecutionStartedEventAttributes Start);
