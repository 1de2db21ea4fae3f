using Temporalio.Api.Command.V1;
using Temporalio.Api.Protocol.V1;

namespace ModelOps.Temporal;

/// <summary>What a worker decided in one workflow task becomes the run's next events.</summary>
internal static class Commands
{
    /// <param name="run">With the task in flight.</param>
    /// <param name="request">The worker's answer.</param>
    /// <param name="attributeTypes">Of the namespace's search attributes.</param>
    /// <returns>Null, or why the workflow task fails instead: nothing of it is in the history then.</returns>
    public static CommandFault? Complete(
        Run run, RespondWorkflowTaskCompletedRequest request, IReadOnlyDictionary<string, IndexedValueType> attributeTypes)
    {
        // 1. Nothing is taken of an answer that is not sound.
        if (CommandRules.Check(run, request, attributeTypes) is { } fault)
            return fault;

        // 2. A task that only brought updates, all of them rejected, was never there.
        var messages = request.Messages.ToDictionary(message => message.Id);
        if (run.Task.Drop(request))
        {
            Finish(run, request, messages.Values);
            return null;
        }

        // 3. The completion, then the events of the commands directly behind it.
        var completed = run.Task.Complete(request);
        run.IsDeciding = true;
        foreach (var command in request.Commands)
            Apply(run, command, completed, messages, request.Identity);
        Finish(run, request, messages.Values);
        return null;
    }

    private static void Finish(Run run, RespondWorkflowTaskCompletedRequest request, IEnumerable<Message> messages)
    {
        // 4. What no command refers to: rejections.
        foreach (var message in messages)
            run.Updates.Answer(message);
        run.Updates.RejectUnanswered();
        run.IsDeciding = false;

        // 5. Then what came while the task was in flight, which asks for the next task.
        if (!run.Closed && (run.FlushInbox() || request.ForceCreateNewWorkflowTask))
            run.Task.Schedule();
        else if (run.Updates.AreWaiting)
            run.Task.ScheduleSpeculative();

        // 6. A question that the task did not answer goes with the next one, or by itself.
        run.Queries.Answer(request.QueryResults);
        if (run.Task.State == WorkflowTaskState.None && !run.Closed)
        {
            foreach (var query in run.Queries.TakeAll())
                run.Effects.Enqueue(new Effect.DispatchQuery(query));
        }
    }

    private static void Apply(Run run, Command command, long completed, Dictionary<string, Message> messages, string identity)
    {
        switch (command.CommandType)
        {
            case CommandType.ScheduleActivityTask:
                run.Activities.Schedule(command, completed);
                break;
            case CommandType.RequestCancelActivityTask:
                run.Activities.RequestCancel(command.RequestCancelActivityTaskCommandAttributes.ScheduledEventId, completed, identity);
                break;
            case CommandType.StartTimer:
                run.Timers.Start(command, completed);
                break;
            case CommandType.CancelTimer:
                run.Timers.Cancel(command.CancelTimerCommandAttributes.TimerId, completed, identity);
                break;
            case CommandType.RecordMarker:
                run.Append(Marker(command, completed));
                break;
            case CommandType.UpsertWorkflowSearchAttributes:
                run.Properties.Upsert(command.UpsertWorkflowSearchAttributesCommandAttributes, completed);
                break;
            case CommandType.ModifyWorkflowProperties:
                run.Properties.Upsert(command.ModifyWorkflowPropertiesCommandAttributes, completed);
                break;
            case CommandType.StartChildWorkflowExecution:
                run.Children.Start(command, completed);
                break;
            case CommandType.SignalExternalWorkflowExecution:
                Externals.Signal(run, command, completed);
                break;
            case CommandType.RequestCancelExternalWorkflowExecution:
                Externals.Cancel(run, command, completed);
                break;
            case CommandType.ProtocolMessage:
                if (messages.Remove(command.ProtocolMessageCommandAttributes.MessageId, out var message))
                    run.Updates.Answer(message);
                break;
            case CommandType.CompleteWorkflowExecution:
                run.Lifetime.Complete(command.CompleteWorkflowExecutionCommandAttributes.Result, completed);
                break;
            case CommandType.FailWorkflowExecution:
                run.Lifetime.Fail(command.FailWorkflowExecutionCommandAttributes.Failure ?? new(), completed);
                break;
            case CommandType.CancelWorkflowExecution:
                run.Lifetime.Cancel(command.CancelWorkflowExecutionCommandAttributes.Details, completed);
                break;
            case CommandType.ContinueAsNewWorkflowExecution:
                run.Lifetime.ContinueAsNew(command.ContinueAsNewWorkflowExecutionCommandAttributes, completed);
                break;
        }
    }

    private static HistoryEvent Marker(Command command, long completed)
    {
        var wanted = command.RecordMarkerCommandAttributes;
        return new()
        {
            UserMetadata = command.UserMetadata,
            MarkerRecordedEventAttributes = new()
            {
                MarkerName = wanted.MarkerName,
                Details = { wanted.Details },
                WorkflowTaskCompletedEventId = completed,
                Header = wanted.Header,
                Failure = wanted.Failure,
            },
        };
    }
}
