namespace ModelOps.Temporal;

/// <summary>Carries out what a run wants outside itself, in the transaction that made it want it.</summary>
internal sealed class CrossRuns(Engine engine)
{
    private const string parentClosed = "by parent close policy";
    private const string identity = "history-service";

    public void Carry(Run run, Effect effect)
    {
        switch (effect)
        {
            case Effect.DispatchWorkflowTask when run.Task.State == WorkflowTaskState.Scheduled:
                engine.Matching.OfferWorkflowTask(run);
                break;
            case Effect.DispatchActivity { Activity: var activity } when !run.Closed && !activity.IsClosing:
                engine.Matching.OfferActivity(run, activity);
                break;
            case Effect.DispatchQuery { Query: var query }:
                engine.Matching.OfferQuery(run, query, sticky: true);
                break;
            case Effect.StartChild { Child: var child }:
                StartChild(run, child);
                break;
            case Effect.SignalExternal { Initiated: var initiated }:
                Signal(run, initiated);
                break;
            case Effect.CancelExternal { Initiated: var initiated }:
                Cancel(run, initiated);
                break;
            case Effect.Closed { Event: var end, Next: var next }:
                Close(run, end, next);
                break;
        }
    }

    private void StartChild(Run parent, Child child)
    {
        var wanted = child.Initiated;
        if (parent.Closed && wanted.ParentClosePolicy != ParentClosePolicy.Abandon)
            return;
        var existing = engine.FindRow(parent.Key.Namespace, new() { WorkflowId = wanted.WorkflowId });
        switch (IdPolicies.Decide(existing, wanted.WorkflowIdReusePolicy, WorkflowIdConflictPolicy.Fail))
        {
            case IdDecision.Start:
                break;
            case IdDecision.TerminateThenStart:
                Terminate(existing!.Key, "TerminateIfRunning WorkflowIdReusePolicy");
                break;
            default:
                parent.Children.CouldNotStart(child, StartChildWorkflowExecutionFailedCause.WorkflowAlreadyExists);
                return;
        }
        var key = new RunKey(parent.Key.Namespace, wanted.WorkflowId, $"{Guid.NewGuid()}");
        var start = StartEvents.OfChild(wanted, key.RunId, parent, child.InitiatedEventId, engine.Time.GetUtcNow());
        engine.Start(key, $"{Guid.NewGuid()}", run => run.Lifetime.Begin(start, metadata: null));
        parent.Children.HasStarted(child, key.RunId);
    }

    private void Signal(Run run, HistoryEvent initiated)
    {
        var wanted = initiated.SignalExternalWorkflowExecutionInitiatedEventAttributes;
        var target = Target(run, wanted.WorkflowExecution, wanted.ChildWorkflowOnly);
        target?.Signals.Receive(new()
        {
            WorkflowExecutionSignaledEventAttributes = new()
            {
                SignalName = wanted.SignalName,
                Input = wanted.Input,
                Identity = identity,
                Header = wanted.Header,
                ExternalWorkflowExecution = run.Execution,
            },
        });
        Externals.Signaled(run, initiated, target is not null);
    }

    private void Cancel(Run run, HistoryEvent initiated)
    {
        var wanted = initiated.RequestCancelExternalWorkflowExecutionInitiatedEventAttributes;
        var target = Target(run, wanted.WorkflowExecution, wanted.ChildWorkflowOnly);
        target?.Signals.RequestCancel(new()
        {
            Cause = wanted.Reason,
            ExternalInitiatedEventId = initiated.EventId,
            ExternalWorkflowExecution = run.Execution,
            Identity = identity,
        });
        Externals.CancelRequested(run, initiated, target is not null);
    }

    private Run? Target(Run run, WorkflowExecution execution, bool childOnly) =>
        engine.FindOpen(run.Key.Namespace, execution) is { Closed: false } target
        && (!childOnly || target.Start.ParentWorkflowExecution?.WorkflowId == run.Key.WorkflowId)
            ? target
            : null;

    private void Close(Run run, HistoryEvent end, NextRun? next)
    {
        // 1. Nobody works for it any more.
        foreach (var offer in run.Offers.Where(offer => offer is not QueryOffer).ToArray())
            offer.Queue?.Remove(offer);
        foreach (var query in run.Queries.TakeAll())
            engine.Matching.OfferQuery(run, query, sticky: false);

        // 2. The run that follows it takes its place,
        if (next is not null)
        {
            var key = run.Key with { RunId = next.RunId };
            engine.Start(key, $"{Guid.NewGuid()}", following => following.Lifetime.Begin(next.Start, metadata: null));
        }

        // 3. its children go as it ordered,
        foreach (var child in run.Children.Pending.Where(child => child.RunId.Length > 0))
            Release(run, child);

        // 4. and whoever waits for its end hears of it.
        if (next is not null)
            return;
        if (run.Start.ParentWorkflowExecution is { } parent && engine.FindOpen(run.Start.ParentWorkflowNamespace, parent) is { Closed: false } waiting)
            waiting.Children.HasClosed(run.Start.ParentInitiatedEventId, run.Execution, end);
        engine.Schedules.Closed(run, end);
    }

    private void Release(Run parent, Child child)
    {
        if (engine.FindOpen(parent.Key.Namespace, new() { WorkflowId = child.Initiated.WorkflowId }) is not { Closed: false } run
            || run.Start.FirstExecutionRunId != child.RunId)
        {
            return;
        }
        switch (child.Initiated.ParentClosePolicy)
        {
            case ParentClosePolicy.RequestCancel:
                run.Signals.RequestCancel(new() { Cause = parentClosed, ExternalWorkflowExecution = parent.Execution, Identity = identity });
                break;
            case ParentClosePolicy.Abandon:
                break;
            default:
                run.Lifetime.Terminate(parentClosed, null, identity);
                break;
        }
    }

    private void Terminate(RunKey key, string reason) =>
        engine.FindOpen(key.Namespace, new() { WorkflowId = key.WorkflowId, RunId = key.RunId })?.Lifetime.Terminate(reason, null, identity);
}
