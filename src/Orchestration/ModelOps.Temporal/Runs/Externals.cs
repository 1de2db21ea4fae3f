using Temporalio.Api.Command.V1;

namespace ModelOps.Temporal;

/// <summary>What a run asks of other runs: signals and cancel requests. They are carried out with the workflow task that asks for them.</summary>
internal static class Externals
{
    public static void Signal(Run run, Command command, long completedEventId)
    {
        var wanted = command.SignalExternalWorkflowExecutionCommandAttributes;
        var initiated = run.Append(new()
        {
            UserMetadata = command.UserMetadata,
            SignalExternalWorkflowExecutionInitiatedEventAttributes = new()
            {
                WorkflowTaskCompletedEventId = completedEventId,
                Namespace = run.Key.Namespace,
                NamespaceId = run.Key.Namespace,
                WorkflowExecution = wanted.Execution,
                SignalName = wanted.SignalName,
                Input = wanted.Input,
                ChildWorkflowOnly = wanted.ChildWorkflowOnly,
                Header = wanted.Header,
            },
        });
        run.Effects.Enqueue(new Effect.SignalExternal(initiated));
    }

    public static void Signaled(Run run, HistoryEvent initiated, bool found)
    {
        var asked = initiated.SignalExternalWorkflowExecutionInitiatedEventAttributes;
        run.Receive(found
            ? new HistoryEvent
            {
                ExternalWorkflowExecutionSignaledEventAttributes = new()
                {
                    InitiatedEventId = initiated.EventId,
                    Namespace = asked.Namespace,
                    NamespaceId = asked.NamespaceId,
                    WorkflowExecution = asked.WorkflowExecution,
                },
            }
            : new HistoryEvent
            {
                SignalExternalWorkflowExecutionFailedEventAttributes = new()
                {
                    Cause = SignalExternalWorkflowExecutionFailedCause.ExternalWorkflowExecutionNotFound,
                    WorkflowTaskCompletedEventId = asked.WorkflowTaskCompletedEventId,
                    InitiatedEventId = initiated.EventId,
                    Namespace = asked.Namespace,
                    NamespaceId = asked.NamespaceId,
                    WorkflowExecution = asked.WorkflowExecution,
                },
            });
    }

    public static void Cancel(Run run, Command command, long completedEventId)
    {
        var wanted = command.RequestCancelExternalWorkflowExecutionCommandAttributes;
        var initiated = run.Append(new()
        {
            UserMetadata = command.UserMetadata,
            RequestCancelExternalWorkflowExecutionInitiatedEventAttributes = new()
            {
                WorkflowTaskCompletedEventId = completedEventId,
                Namespace = run.Key.Namespace,
                NamespaceId = run.Key.Namespace,
                WorkflowExecution = new() { WorkflowId = wanted.WorkflowId, RunId = wanted.RunId },
                ChildWorkflowOnly = wanted.ChildWorkflowOnly,
                Reason = wanted.Reason,
            },
        });
        run.Effects.Enqueue(new Effect.CancelExternal(initiated));
    }

    public static void CancelRequested(Run run, HistoryEvent initiated, bool found)
    {
        var asked = initiated.RequestCancelExternalWorkflowExecutionInitiatedEventAttributes;
        run.Receive(found
            ? new HistoryEvent
            {
                ExternalWorkflowExecutionCancelRequestedEventAttributes = new()
                {
                    InitiatedEventId = initiated.EventId,
                    Namespace = asked.Namespace,
                    NamespaceId = asked.NamespaceId,
                    WorkflowExecution = asked.WorkflowExecution,
                },
            }
            : new HistoryEvent
            {
                RequestCancelExternalWorkflowExecutionFailedEventAttributes = new()
                {
                    Cause = CancelExternalWorkflowExecutionFailedCause.ExternalWorkflowExecutionNotFound,
                    WorkflowTaskCompletedEventId = asked.WorkflowTaskCompletedEventId,
                    InitiatedEventId = initiated.EventId,
                    Namespace = asked.Namespace,
                    NamespaceId = asked.NamespaceId,
                    WorkflowExecution = asked.WorkflowExecution,
                },
            });
    }
}
