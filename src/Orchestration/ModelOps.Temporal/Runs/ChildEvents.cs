using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>A child's end as its parent's history tells it.</summary>
internal static class ChildEvents
{
    public static HistoryEvent Of(HistoryEvent end, string ns, WorkflowExecution execution, Child child) => end.AttributesCase switch
    {
        AttributesCase.WorkflowExecutionCompletedEventAttributes => new()
        {
            ChildWorkflowExecutionCompletedEventAttributes = new()
            {
                Result = end.WorkflowExecutionCompletedEventAttributes.Result,
                Namespace = ns,
                NamespaceId = ns,
                WorkflowExecution = execution,
                WorkflowType = child.Initiated.WorkflowType,
                InitiatedEventId = child.InitiatedEventId,
            },
        },
        AttributesCase.WorkflowExecutionFailedEventAttributes => new()
        {
            ChildWorkflowExecutionFailedEventAttributes = new()
            {
                Failure = end.WorkflowExecutionFailedEventAttributes.Failure,
                RetryState = end.WorkflowExecutionFailedEventAttributes.RetryState,
                Namespace = ns,
                NamespaceId = ns,
                WorkflowExecution = execution,
                WorkflowType = child.Initiated.WorkflowType,
                InitiatedEventId = child.InitiatedEventId,
            },
        },
        AttributesCase.WorkflowExecutionCanceledEventAttributes => new()
        {
            ChildWorkflowExecutionCanceledEventAttributes = new()
            {
                Details = end.WorkflowExecutionCanceledEventAttributes.Details,
                Namespace = ns,
                NamespaceId = ns,
                WorkflowExecution = execution,
                WorkflowType = child.Initiated.WorkflowType,
                InitiatedEventId = child.InitiatedEventId,
            },
        },
        AttributesCase.WorkflowExecutionTimedOutEventAttributes => new()
        {
            ChildWorkflowExecutionTimedOutEventAttributes = new()
            {
                RetryState = end.WorkflowExecutionTimedOutEventAttributes.RetryState,
                Namespace = ns,
                NamespaceId = ns,
                WorkflowExecution = execution,
                WorkflowType = child.Initiated.WorkflowType,
                InitiatedEventId = child.InitiatedEventId,
            },
        },
        AttributesCase.WorkflowExecutionTerminatedEventAttributes => new()
        {
            ChildWorkflowExecutionTerminatedEventAttributes = new()
            {
                Namespace = ns,
                NamespaceId = ns,
                WorkflowExecution = execution,
                WorkflowType = child.Initiated.WorkflowType,
                InitiatedEventId = child.InitiatedEventId,
            },
        },
        _ => throw new ArgumentException($"{end.EventType} does not end a run.", nameof(end)),
    };
}
