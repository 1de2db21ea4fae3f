using ModelOps.Temporal.Visibility;
using Temporalio.Api.Command.V1;

namespace ModelOps.Temporal;

/// <summary>Why an answer of a worker is not taken.</summary>
internal sealed record CommandFault(WorkflowTaskFailedCause Cause, string Message);

/// <summary>What a worker's commands must satisfy, checked before any of them has an effect.</summary>
internal static class CommandRules
{
    private static readonly CommandType[] closing =
    [
        CommandType.CompleteWorkflowExecution, CommandType.FailWorkflowExecution, CommandType.CancelWorkflowExecution,
        CommandType.ContinueAsNewWorkflowExecution,
    ];

    public static CommandFault? Check(
        Run run, RespondWorkflowTaskCompletedRequest request, IReadOnlyDictionary<string, IndexedValueType> attributeTypes)
    {
        // A run does not close over news that its worker has not seen.
        if ((run.Inbox.Count > 0 || run.Updates.AreWaiting) && request.Commands.Any(command => closing.Contains(command.CommandType)))
            return new(WorkflowTaskFailedCause.UnhandledCommand, "UnhandledCommand");
        var activities = run.Activities.Pending.Select(activity => activity.Info.ActivityId).ToHashSet();
        var canceled = new HashSet<string>();
        var timers = new HashSet<string>();
        foreach (var command in request.Commands)
        {
            var fault = command.CommandType switch
            {
                CommandType.ScheduleActivityTask => Check(command.ScheduleActivityTaskCommandAttributes, run, activities),
                CommandType.RequestCancelActivityTask => Check(command.RequestCancelActivityTaskCommandAttributes, run),
                CommandType.StartTimer => Check(command.StartTimerCommandAttributes, run, timers, canceled),
                CommandType.CancelTimer => Check(command.CancelTimerCommandAttributes, run, timers, canceled),
                CommandType.RecordMarker => Check(command.RecordMarkerCommandAttributes),
                CommandType.StartChildWorkflowExecution => Check(command.StartChildWorkflowExecutionCommandAttributes),
                CommandType.SignalExternalWorkflowExecution => Check(command.SignalExternalWorkflowExecutionCommandAttributes),
                CommandType.UpsertWorkflowSearchAttributes =>
                    Check(command.UpsertWorkflowSearchAttributesCommandAttributes?.SearchAttributes, attributeTypes),
                CommandType.ContinueAsNewWorkflowExecution => command.ContinueAsNewWorkflowExecutionCommandAttributes is null
                    ? new(WorkflowTaskFailedCause.BadContinueAsNewAttributes, "ContinueAsNewWorkflowExecutionCommandAttributes is not set.")
                    : null,
                CommandType.ScheduleNexusOperation or CommandType.RequestCancelNexusOperation =>
                    new(WorkflowTaskFailedCause.FeatureDisabled, "Nexus operations are not supported by this server."),
                CommandType.Unspecified => new CommandFault(WorkflowTaskFailedCause.UnhandledCommand, "A command has no type."),
                _ => null,
            };
            if (fault is not null)
                return fault;
        }
        return null;
    }

    private static CommandFault? Check(ScheduleActivityTaskCommandAttributes wanted, Run run, HashSet<string> activities)
    {
        var message = wanted switch
        {
            null => "ScheduleActivityTaskCommandAttributes is not set.",
            { ActivityId: "" } => "ActivityId is not set.",
            { ActivityType: null or { Name: "" } } => $"ActivityType is not set. ActivityId={wanted.ActivityId}",
            _ when !wanted.StartToCloseTimeout.IsSet() && !wanted.ScheduleToCloseTimeout.IsSet() =>
                $"A valid StartToClose or ScheduleToCloseTimeout is not set. ActivityId={wanted.ActivityId} ActivityType={wanted.ActivityType.Name}",
            _ => null,
        };
        if (message is not null)
            return new(WorkflowTaskFailedCause.BadScheduleActivityAttributes, message);
        return activities.Add(wanted!.ActivityId)
            ? null
            : new(WorkflowTaskFailedCause.ScheduleActivityDuplicateId, $"The activity id {wanted.ActivityId} of {run.Key.WorkflowId} is in use.");
    }

    private static CommandFault? Check(RequestCancelActivityTaskCommandAttributes wanted, Run run) =>
        wanted is null || wanted.ScheduledEventId <= 0 || wanted.ScheduledEventId > run.History.Count
            ? new(WorkflowTaskFailedCause.BadRequestCancelActivityAttributes, $"No activity was scheduled by event {wanted?.ScheduledEventId}.")
            : null;

    private static CommandFault? Check(StartTimerCommandAttributes wanted, Run run, HashSet<string> timers, HashSet<string> canceled)
    {
        if (wanted is null or { TimerId: "" } || !wanted.StartToFireTimeout.IsSet())
            return new(WorkflowTaskFailedCause.BadStartTimerAttributes, "A timer needs an id and a time.");
        var inUse = run.Timers.Has(wanted.TimerId) && !canceled.Contains(wanted.TimerId);
        return !inUse && timers.Add(wanted.TimerId)
            ? null
            : new(WorkflowTaskFailedCause.StartTimerDuplicateId, $"The timer id {wanted.TimerId} is in use.");
    }

    private static CommandFault? Check(CancelTimerCommandAttributes wanted, Run run, HashSet<string> timers, HashSet<string> canceled)
    {
        var known = wanted is not null && (timers.Remove(wanted.TimerId) || (run.Timers.Has(wanted.TimerId) && canceled.Add(wanted.TimerId)));
        return known ? null : new(WorkflowTaskFailedCause.BadCancelTimerAttributes, $"There is no timer {wanted?.TimerId}.");
    }

    private static CommandFault? Check(SearchAttributes? attributes, IReadOnlyDictionary<string, IndexedValueType> types)
    {
        try
        {
            VisibilityTable.Attributes(attributes, types);
            return null;
        }
        catch (VisibilityException fault)
        {
            return new(WorkflowTaskFailedCause.BadSearchAttributes, fault.Message);
        }
    }

    private static CommandFault? Check(RecordMarkerCommandAttributes wanted) => wanted is null or { MarkerName: "" }
        ? new(WorkflowTaskFailedCause.BadRecordMarkerAttributes, "A marker needs a name.")
        : null;

    private static CommandFault? Check(StartChildWorkflowExecutionCommandAttributes wanted) =>
        wanted is null or { WorkflowId: "" } or { WorkflowType: null or { Name: "" } }
            ? new(WorkflowTaskFailedCause.BadStartChildExecutionAttributes, "A child workflow needs an id and a type.")
            : null;

    private static CommandFault? Check(SignalExternalWorkflowExecutionCommandAttributes wanted) =>
        wanted is null or { SignalName: "" } or { Execution: null or { WorkflowId: "" } }
            ? new(WorkflowTaskFailedCause.BadSignalWorkflowExecutionAttributes, "A signal needs a name and a workflow id.")
            : null;
}
