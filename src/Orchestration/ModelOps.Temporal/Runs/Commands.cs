using Temporalio.Api.Command.V1;

namespace ModelOps.Temporal;

/// <summary>What a worker decided in one workflow task becomes the run's next events.</summary>
internal static class Commands
{
    private static readonly CommandType[] closing =
    [
        CommandType.CompleteWorkflowExecution, CommandType.FailWorkflowExecution, CommandType.CancelWorkflowExecution,
        CommandType.ContinueAsNewWorkflowExecution,
    ];

    /// <returns>Null, or why the workflow task fails instead: nothing of it is in the history then.</returns>
    public static WorkflowTaskFailedCause? Complete(Run run, RespondWorkflowTaskCompletedRequest request)
    {
        // 1. A run does not close over news that its worker has not seen.
        if (run.Inbox.Count > 0 && request.Commands.Any(command => closing.Contains(command.CommandType)))
            return WorkflowTaskFailedCause.UnhandledCommand;

        // 2. The completion, then the events of the commands directly behind it.
        var completed = run.Task.Complete(request);
        foreach (var command in request.Commands)
            Apply(run, command, completed);

        // 3. Then what came while the task was in flight, which asks for the next task.
        if (!run.Closed && (run.FlushInbox() || request.ForceCreateNewWorkflowTask))
            run.Task.Schedule();
        return null;
    }

    private static void Apply(Run run, Command command, long completed)
    {
        switch (command.CommandType)
        {
            case CommandType.ScheduleActivityTask:
                run.Activities.Schedule(command, completed);
                break;
            case CommandType.CompleteWorkflowExecution:
                run.Lifetime.Complete(command.CompleteWorkflowExecutionCommandAttributes.Result, completed);
                break;
            case CommandType.FailWorkflowExecution:
                run.Lifetime.Fail(command.FailWorkflowExecutionCommandAttributes.Failure, completed);
                break;
        }
    }
}
