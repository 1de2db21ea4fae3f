using Temporalio.Api.Workflow.V1;

namespace ModelOps.Temporal;

/// <summary>A run as describing and listing show it.</summary>
internal static class RunInfo
{
    public static WorkflowExecutionInfo Of(Run run) => new()
    {
        Execution = run.Execution,
        Type = run.Start.WorkflowType,
        StartTime = Timestamp.FromDateTimeOffset(run.Lifetime.StartTime),
        ExecutionTime = Timestamp.FromDateTimeOffset(run.Lifetime.ExecutionTime),
        CloseTime = run.Lifetime.CloseTime is { } closed ? Timestamp.FromDateTimeOffset(closed) : null,
        ExecutionDuration = run.Lifetime.CloseTime is { } end ? Duration.FromTimeSpan(end - run.Lifetime.ExecutionTime) : null,
        Status = run.Lifetime.Status,
        HistoryLength = run.History.Count,
        HistorySizeBytes = run.History.Bytes,
        ParentNamespaceId = run.Start.ParentWorkflowNamespaceId,
        ParentExecution = run.Start.ParentWorkflowExecution,
        RootExecution = run.Start.RootWorkflowExecution ?? run.Execution,
        FirstRunId = run.Start.FirstExecutionRunId,
        Memo = run.Properties.Memo.Clone(),
        SearchAttributes = run.Properties.SearchAttributes.Clone(),
        TaskQueue = run.Start.TaskQueue.Name,
        Priority = run.Start.Priority,
    };
}
