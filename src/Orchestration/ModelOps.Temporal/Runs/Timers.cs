using Temporalio.Api.Command.V1;
using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>A workflow's own timers.</summary>
internal sealed class Timers(Run run) : RunPart(run)
{
    private readonly Dictionary<string, Timer> pending = [];

    public override DateTimeOffset Deadline => pending.Count == 0 ? DateTimeOffset.MaxValue : pending.Values.Min(timer => timer.Deadline);

    public bool Has(string timerId) => pending.ContainsKey(timerId);

    public override void Apply(HistoryEvent applied)
    {
        switch (applied.AttributesCase)
        {
            case AttributesCase.TimerStartedEventAttributes:
                var started = applied.TimerStartedEventAttributes;
                pending.Add(started.TimerId, new Timer(applied.EventId, started.StartToFireTimeout.Limit(applied.EventTime.ToDateTimeOffset())));
                break;
            case AttributesCase.TimerFiredEventAttributes:
                pending.Remove(applied.TimerFiredEventAttributes.TimerId);
                break;
            case AttributesCase.TimerCanceledEventAttributes:
                pending.Remove(applied.TimerCanceledEventAttributes.TimerId);
                break;
        }
    }

    public override void Expect(HistoryEvent received)
    {
        if (received.TimerFiredEventAttributes is { } fired && pending.TryGetValue(fired.TimerId, out var timer))
            timer.HasFired = true;
    }

    public void Start(Command command, long completedEventId) => Run.Append(new()
    {
        UserMetadata = command.UserMetadata,
        TimerStartedEventAttributes = new()
        {
            TimerId = command.StartTimerCommandAttributes.TimerId,
            StartToFireTimeout = command.StartTimerCommandAttributes.StartToFireTimeout,
            WorkflowTaskCompletedEventId = completedEventId,
        },
    });

    /// <summary>Cancels a timer, also one that fired without the worker knowing.</summary>
    public void Cancel(string timerId, long completedEventId, string identity)
    {
        var timer = pending[timerId];
        if (timer.HasFired)
            Run.RemoveFromInbox(received => received.TimerFiredEventAttributes?.TimerId == timerId);
        Run.Append(new()
        {
            TimerCanceledEventAttributes = new()
            {
                TimerId = timerId,
                StartedEventId = timer.StartedEventId,
                WorkflowTaskCompletedEventId = completedEventId,
                Identity = identity,
            },
        });
    }

    public override void Elapse(DateTimeOffset now)
    {
        foreach (var (timerId, timer) in pending.Where(timer => timer.Value.Deadline <= now).OrderBy(timer => timer.Value.Deadline).ToArray())
            Run.Receive(new HistoryEvent { TimerFiredEventAttributes = new() { TimerId = timerId, StartedEventId = timer.StartedEventId } });
    }

    private sealed class Timer(long startedEventId, DateTimeOffset fireAt)
    {
        public long StartedEventId => startedEventId;

        /// <summary>The event is in the inbox.</summary>
        public bool HasFired { get; set; }

        public DateTimeOffset Deadline => HasFired ? DateTimeOffset.MaxValue : fireAt;
    }
}
