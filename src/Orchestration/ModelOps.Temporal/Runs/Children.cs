using Temporalio.Api.Command.V1;
using Temporalio.Api.Workflow.V1;
using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>A child workflow that its parent waits for, or keeps.</summary>
internal sealed class Child(HistoryEvent initiated)
{
    public long InitiatedEventId => initiated.EventId;
    public StartChildWorkflowExecutionInitiatedEventAttributes Initiated => initiated.StartChildWorkflowExecutionInitiatedEventAttributes;
    public long StartedEventId { get; set; }

    /// <summary>Of the child's first run; empty before it started.</summary>
    public string RunId { get; set; } = "";

    /// <summary>Its end is in the inbox.</summary>
    public bool IsClosing { get; set; }

    public PendingChildExecutionInfo Describe() => new()
    {
        WorkflowId = Initiated.WorkflowId,
        RunId = RunId,
        WorkflowTypeName = Initiated.WorkflowType.Name,
        InitiatedId = InitiatedEventId,
        ParentClosePolicy = Initiated.ParentClosePolicy,
    };
}

/// <summary>The children of a run.</summary>
internal sealed class Children(Run run) : RunPart(run)
{
    private readonly SortedDictionary<long, Child> pending = [];

    public IEnumerable<Child> Pending => pending.Values.Where(child => !child.IsClosing);

    public override void Apply(HistoryEvent applied)
    {
        switch (applied.AttributesCase)
        {
            case AttributesCase.StartChildWorkflowExecutionInitiatedEventAttributes:
                pending.Add(applied.EventId, new Child(applied));
                break;
            case AttributesCase.ChildWorkflowExecutionStartedEventAttributes:
                Started(applied.ChildWorkflowExecutionStartedEventAttributes)!.StartedEventId = applied.EventId;
                break;
            default:
                if (ClosedChild(applied) is { } closed)
                    pending.Remove(closed);
                break;
        }
    }

    public override void Expect(HistoryEvent received)
    {
        if (received.ChildWorkflowExecutionStartedEventAttributes is { } started)
            Started(started);
        else if (ClosedChild(received) is { } closed && pending.TryGetValue(closed, out var child))
            child.IsClosing = true;
    }

    /// <summary>Fills in the id of the start that a child's end names.</summary>
    public override void Wire(HistoryEvent next)
    {
        var started = ClosedChild(next) is { } closed && pending.TryGetValue(closed, out var child) ? child.StartedEventId : 0;
        switch (next.AttributesCase)
        {
            case AttributesCase.ChildWorkflowExecutionCompletedEventAttributes:
                next.ChildWorkflowExecutionCompletedEventAttributes.StartedEventId = started;
                break;
            case AttributesCase.ChildWorkflowExecutionFailedEventAttributes:
                next.ChildWorkflowExecutionFailedEventAttributes.StartedEventId = started;
                break;
            case AttributesCase.ChildWorkflowExecutionCanceledEventAttributes:
                next.ChildWorkflowExecutionCanceledEventAttributes.StartedEventId = started;
                break;
            case AttributesCase.ChildWorkflowExecutionTimedOutEventAttributes:
                next.ChildWorkflowExecutionTimedOutEventAttributes.StartedEventId = started;
                break;
            case AttributesCase.ChildWorkflowExecutionTerminatedEventAttributes:
                next.ChildWorkflowExecutionTerminatedEventAttributes.StartedEventId = started;
                break;
        }
    }

    public void Start(Command command, long completedEventId)
    {
        var wanted = command.StartChildWorkflowExecutionCommandAttributes;
        var initiated = Run.Append(new()
        {
            UserMetadata = command.UserMetadata,
            StartChildWorkflowExecutionInitiatedEventAttributes = new()
            {
                Namespace = Run.Key.Namespace,
                NamespaceId = Run.Key.Namespace,
                WorkflowId = wanted.WorkflowId,
                WorkflowType = wanted.WorkflowType,
                TaskQueue = wanted.TaskQueue is { Name.Length: > 0 } queue ? queue : Run.Start.TaskQueue,
                Input = wanted.Input,
                WorkflowExecutionTimeout = wanted.WorkflowExecutionTimeout,
                WorkflowRunTimeout = wanted.WorkflowRunTimeout,
                WorkflowTaskTimeout = wanted.WorkflowTaskTimeout,
                ParentClosePolicy = wanted.ParentClosePolicy,
                WorkflowTaskCompletedEventId = completedEventId,
                WorkflowIdReusePolicy = wanted.WorkflowIdReusePolicy,
                RetryPolicy = wanted.RetryPolicy,
                CronSchedule = wanted.CronSchedule,
                Header = wanted.Header,
                Memo = wanted.Memo,
                SearchAttributes = wanted.SearchAttributes,
                Priority = Priorities.Inherit(wanted.Priority, Run.Start.Priority),
            },
        });
        Run.Effects.Enqueue(new Effect.StartChild(pending[initiated.EventId]));
    }

    public void HasStarted(Child child, string runId) => Run.Receive(new HistoryEvent
    {
        ChildWorkflowExecutionStartedEventAttributes = new()
        {
            Namespace = Run.Key.Namespace,
            NamespaceId = Run.Key.Namespace,
            InitiatedEventId = child.InitiatedEventId,
            WorkflowExecution = new() { WorkflowId = child.Initiated.WorkflowId, RunId = runId },
            WorkflowType = child.Initiated.WorkflowType,
            Header = child.Initiated.Header,
        },
    });

    public void CouldNotStart(Child child, StartChildWorkflowExecutionFailedCause cause) => Run.Receive(new HistoryEvent
    {
        StartChildWorkflowExecutionFailedEventAttributes = new()
        {
            Namespace = Run.Key.Namespace,
            NamespaceId = Run.Key.Namespace,
            WorkflowId = child.Initiated.WorkflowId,
            WorkflowType = child.Initiated.WorkflowType,
            Cause = cause,
            InitiatedEventId = child.InitiatedEventId,
            WorkflowTaskCompletedEventId = child.Initiated.WorkflowTaskCompletedEventId,
        },
    });

    /// <summary>A child's last run closed.</summary>
    public void HasClosed(long initiatedEventId, WorkflowExecution execution, HistoryEvent end)
    {
        if (pending.TryGetValue(initiatedEventId, out var child) && !child.IsClosing)
            Run.Receive(ChildEvents.Of(end, Run.Key.Namespace, execution, child));
    }

    private static long? ClosedChild(HistoryEvent closing) => closing.AttributesCase switch
    {
        AttributesCase.StartChildWorkflowExecutionFailedEventAttributes =>
            closing.StartChildWorkflowExecutionFailedEventAttributes.InitiatedEventId,
        AttributesCase.ChildWorkflowExecutionCompletedEventAttributes =>
            closing.ChildWorkflowExecutionCompletedEventAttributes.InitiatedEventId,
        AttributesCase.ChildWorkflowExecutionFailedEventAttributes =>
            closing.ChildWorkflowExecutionFailedEventAttributes.InitiatedEventId,
        AttributesCase.ChildWorkflowExecutionCanceledEventAttributes =>
            closing.ChildWorkflowExecutionCanceledEventAttributes.InitiatedEventId,
        AttributesCase.ChildWorkflowExecutionTimedOutEventAttributes =>
            closing.ChildWorkflowExecutionTimedOutEventAttributes.InitiatedEventId,
        AttributesCase.ChildWorkflowExecutionTerminatedEventAttributes =>
            closing.ChildWorkflowExecutionTerminatedEventAttributes.InitiatedEventId,
        _ => null,
    };

    private Child? Started(ChildWorkflowExecutionStartedEventAttributes started)
    {
        var child = pending.GetValueOrDefault(started.InitiatedEventId);
        if (child is not null)
            child.RunId = started.WorkflowExecution.RunId;
        return child;
    }
}
