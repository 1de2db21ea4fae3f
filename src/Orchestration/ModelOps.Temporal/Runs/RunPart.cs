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

    /// <summary>Fills in what an event knows only once it takes its place in the history.</summary>
    public virtual void Wire(HistoryEvent next)
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

    public sealed record DispatchQuery(PendingQuery Query) : Effect;

    public sealed record StartChild(Child Child) : Effect;

    public sealed record SignalExternal(HistoryEvent Initiated) : Effect;

    public sealed record CancelExternal(HistoryEvent Initiated) : Effect;

    /// <summary>The run closed with an event; <paramref name="Next"/> is the run that follows it.</summary>
    public sealed record Closed(HistoryEvent Event, NextRun? Next) : Effect;
}
