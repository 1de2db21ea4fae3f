using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>Resets a run: a new run takes its history up to a workflow task, which fails there, and goes on from it.</summary>
internal static class Resets
{
    /// <summary>In a transaction.</summary>
    /// <returns>The new run.</returns>
    public static Run Reset(Engine engine, ResetWorkflowExecutionRequest request)
    {
        // 1. Where: right after a workflow task began.
        var ns = request.Namespace;
        var execution = request.WorkflowExecution;
        var row = engine.FindRow(ns, execution) ?? throw RpcErrors.WorkflowNotFound(execution.WorkflowId);
        var latest = engine.FindRow(ns, new() { WorkflowId = row.Key.WorkflowId })!;
        if (latest.RequestId == request.RequestId && engine.FindOpen(ns, new() { WorkflowId = row.Key.WorkflowId, RunId = latest.Key.RunId }) is { } known)
            return known;
        var history = Events(engine, row);
        var point = (int)request.WorkflowTaskFinishEventId - 1;
        if (point < 1 || point > history.Count || history[point - 1].AttributesCase != AttributesCase.WorkflowTaskStartedEventAttributes)
        {
            throw RpcErrors.InvalidArgument(
                $"WorkflowTaskFinishEventId {request.WorkflowTaskFinishEventId} does not follow a WorkflowTaskStarted event.");
        }

        // 2. The run that is open ends.
        engine.FindOpen(ns, new() { WorkflowId = row.Key.WorkflowId })?.Lifetime.Terminate(request.Reason, null, request.Identity);

        // 3. The new one takes the history, fails the task, and hears again what came after.
        var key = row.Key with { RunId = $"{Guid.NewGuid()}" };
        return engine.Start(key, request.RequestId, run =>
        {
            run.Adopt(history.Take(point));
            Reapply(run, history.Skip(point), request);
            run.Task.FailForReset(row.Key.RunId, key.RunId, request);
            run.Activities.Resume();
        });
    }

    private static List<HistoryEvent> Events(Engine engine, RunRow row)
    {
        using var reader = engine.Read();
        var stored = reader.Events(row.Number, 0, long.MaxValue, int.MaxValue);
        var tail = engine.FindOpen(row.Key.Namespace, new() { WorkflowId = row.Key.WorkflowId, RunId = row.Key.RunId })?.History.After(stored.Count);
        return [.. stored, .. tail ?? []];
    }

    private static void Reapply(Run run, IEnumerable<HistoryEvent> later, ResetWorkflowExecutionRequest request)
    {
#pragma warning disable CS0612 // clients still send the deprecated type
        if (request.ResetReapplyType == ResetReapplyType.None)
            return;
#pragma warning restore CS0612
        foreach (var signal in later.Where(e => e.AttributesCase == AttributesCase.WorkflowExecutionSignaledEventAttributes))
        {
            if (!request.ResetReapplyExcludeTypes.Contains(ResetReapplyExcludeType.Signal))
                run.Signals.Receive(new() { WorkflowExecutionSignaledEventAttributes = signal.WorkflowExecutionSignaledEventAttributes.Clone() });
        }
    }
}
