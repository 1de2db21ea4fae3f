namespace ModelOps.Temporal;

/// <summary>Signals and cancel requests from outside; a repeated request is one.</summary>
internal sealed class Signals(Run run) : RunPart(run)
{
    private readonly HashSet<string> requestIds = [];

    public bool CancelRequested { get; private set; }

    public override void Apply(HistoryEvent applied) => Expect(applied);

    public override void Expect(HistoryEvent received)
    {
        if (received.WorkflowExecutionSignaledEventAttributes is { RequestId.Length: > 0 } signaled)
            requestIds.Add(signaled.RequestId);
        CancelRequested |= received.WorkflowExecutionCancelRequestedEventAttributes is not null;
    }

    public void Receive(HistoryEvent signal)
    {
        var requestId = signal.WorkflowExecutionSignaledEventAttributes.RequestId;
        if (requestId.Length > 0 && requestIds.Contains(requestId))
            return;
        Run.Lifetime.EndStartDelay();
        Run.Receive(signal);
    }

    public void RequestCancel(WorkflowExecutionCancelRequestedEventAttributes request)
    {
        if (!CancelRequested)
            Run.Receive(new HistoryEvent { WorkflowExecutionCancelRequestedEventAttributes = request });
    }
}
