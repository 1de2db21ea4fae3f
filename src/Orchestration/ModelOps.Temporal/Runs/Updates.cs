using Temporalio.Api.Protocol.V1;
using Temporalio.Api.Update.V1;
using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

/// <summary>One update of a run. Until a worker accepts it, it is in memory alone and its caller is not answered.</summary>
internal sealed class RunUpdate(string id, Request? request)
{
    public string Id => id;

    /// <summary>Null for one that is known from the history.</summary>
    public Request? Request => request;

    public long AcceptedEventId { get; set; }
    public Outcome? Outcome { get; set; }

    /// <summary>The workflow task in flight shows it to the worker.</summary>
    public bool IsSent { get; set; }

    public UpdateWorkflowExecutionLifecycleStage Stage =>
        Outcome is not null ? UpdateWorkflowExecutionLifecycleStage.Completed
        : AcceptedEventId > 0 ? UpdateWorkflowExecutionLifecycleStage.Accepted
        : UpdateWorkflowExecutionLifecycleStage.Admitted;
}

/// <summary>The updates of a run, by their ids.</summary>
internal sealed class Updates(Run run) : RunPart(run)
{
    private const string requestSuffix = "/request";
    private readonly Dictionary<string, RunUpdate> updates = [];

    /// <summary>Whether the worker has yet to be told of one.</summary>
    public bool AreWaiting => updates.Values.Any(update => update is { Stage: UpdateWorkflowExecutionLifecycleStage.Admitted, IsSent: false });

    public RunUpdate? Find(string updateId) => updates.GetValueOrDefault(updateId);

    public override void Apply(HistoryEvent applied)
    {
        switch (applied.AttributesCase)
        {
            case AttributesCase.WorkflowExecutionUpdateAcceptedEventAttributes:
                var accepted = applied.WorkflowExecutionUpdateAcceptedEventAttributes;
                if (!updates.TryGetValue(accepted.ProtocolInstanceId, out var update))
                    updates[accepted.ProtocolInstanceId] = update = new(accepted.ProtocolInstanceId, null);
                update.AcceptedEventId = applied.EventId;
                break;
            case AttributesCase.WorkflowExecutionUpdateCompletedEventAttributes:
                var completed = applied.WorkflowExecutionUpdateCompletedEventAttributes;
                updates[completed.Meta.UpdateId].Outcome = completed.Outcome;
                break;
            default:
                if (Run.Closed)
                    FailUnfinished();
                break;
        }
    }

    /// <summary>Takes an update in, or finds the one that has its id.</summary>
    public RunUpdate Admit(Request request)
    {
        if (updates.TryGetValue(request.Meta.UpdateId, out var known))
            return known;
        var update = updates[request.Meta.UpdateId] = new RunUpdate(request.Meta.UpdateId, request);
        Run.Lifetime.EndStartDelay();
        Run.Task.ScheduleSpeculative();
        return update;
    }

    /// <summary>The waiting updates, as the workflow task that begins shows them.</summary>
    public Message[] Send(long startedEventId)
    {
        var sent = updates.Values.Where(update => update.Stage == UpdateWorkflowExecutionLifecycleStage.Admitted).ToArray();
        foreach (var update in sent)
            update.IsSent = true;
        return
        [
            .. sent.Select(update => new Message
            {
                Id = update.Id + requestSuffix,
                ProtocolInstanceId = update.Id,
                EventId = startedEventId - 1,
                Body = Any.Pack(update.Request!),
            }),
        ];
    }

    /// <summary>The workflow task that showed them failed: the next one shows them again.</summary>
    public void Unsend()
    {
        foreach (var update in updates.Values)
            update.IsSent = false;
    }

    /// <summary>Takes a worker's word on an update: accepted, rejected or completed.</summary>
    public void Answer(Message message)
    {
        var id = message.ProtocolInstanceId;
        if (!updates.TryGetValue(id, out var update))
            return;
        if (message.Body.TryUnpack<Acceptance>(out var acceptance) && update.AcceptedEventId == 0)
        {
            Run.Append(new()
            {
                WorkflowExecutionUpdateAcceptedEventAttributes = new()
                {
                    ProtocolInstanceId = id,
                    AcceptedRequestMessageId = acceptance.AcceptedRequestMessageId,
                    AcceptedRequestSequencingEventId = acceptance.AcceptedRequestSequencingEventId,
                    AcceptedRequest = acceptance.AcceptedRequest ?? update.Request,
                },
            });
        }
        else if (message.Body.TryUnpack<Response>(out var response) && update.Outcome is null)
        {
            Run.Append(new()
            {
                WorkflowExecutionUpdateCompletedEventAttributes = new()
                {
                    Meta = response.Meta,
                    AcceptedEventId = update.AcceptedEventId,
                    Outcome = response.Outcome,
                },
            });
        }
        else if (message.Body.TryUnpack<Rejection>(out var rejection))
        {
            Reject(update, rejection.Failure);
        }
    }

    /// <summary>Rejects what a worker was shown and said nothing of.</summary>
    public void RejectUnanswered()
    {
        var unanswered = updates.Values
            .Where(update => update is { IsSent: true, Stage: UpdateWorkflowExecutionLifecycleStage.Admitted })
            .ToArray();
        foreach (var update in unanswered)
        {
            Reject(update, new()
            {
                Message = "Workflow Update is rejected because it wasn't processed by worker. Probably, Workflow Update is not supported by the worker.",
                Source = "Server",
                ApplicationFailureInfo = new() { Type = "UnprocessedUpdate", NonRetryable = true },
            });
        }
    }

    // A rejected update leaves no trace in the history; whoever waits for it holds it.
    private void Reject(RunUpdate update, Failure failure)
    {
        update.Outcome = new() { Failure = failure };
        updates.Remove(update.Id);
        Run.Change();
    }

    private void FailUnfinished()
    {
        foreach (var update in updates.Values.Where(update => update.Stage == UpdateWorkflowExecutionLifecycleStage.Accepted))
        {
            update.Outcome = new()
            {
                Failure = new()
                {
                    Message = "Workflow Update failed because the Workflow completed before the Update completed.",
                    Source = "Server",
                    ApplicationFailureInfo = new() { Type = "AcceptedUpdateCompletedWorkflow", NonRetryable = true },
                },
            };
        }
    }
}
