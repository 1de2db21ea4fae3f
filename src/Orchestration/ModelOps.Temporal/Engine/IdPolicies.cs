namespace ModelOps.Temporal;

internal enum IdDecision
{
    Start,
    TerminateThenStart,
    UseExisting,
    Refuse,
}

/// <summary>Whether a workflow id may be used again: the conflict policy speaks of an open run, the reuse policy of a closed one.</summary>
internal static class IdPolicies
{
    public static IdDecision Decide(RunRow? latest, WorkflowIdReusePolicy reuse, WorkflowIdConflictPolicy conflict)
    {
        if (latest is null)
            return IdDecision.Start;
        if (latest.Status == WorkflowExecutionStatus.Running)
        {
            return (reuse, conflict) switch
            {
#pragma warning disable CS0612 // clients still send the deprecated policy
                (WorkflowIdReusePolicy.TerminateIfRunning, _) => IdDecision.TerminateThenStart,
#pragma warning restore CS0612
                (_, WorkflowIdConflictPolicy.TerminateExisting) => IdDecision.TerminateThenStart,
                (_, WorkflowIdConflictPolicy.UseExisting) => IdDecision.UseExisting,
                _ => IdDecision.Refuse,
            };
        }
        return reuse switch
        {
            WorkflowIdReusePolicy.RejectDuplicate => IdDecision.Refuse,
            WorkflowIdReusePolicy.AllowDuplicateFailedOnly when latest.Status == WorkflowExecutionStatus.Completed => IdDecision.Refuse,
            _ => IdDecision.Start,
        };
    }
}
