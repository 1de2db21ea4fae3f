using Temporalio.Api.Query.V1;

namespace ModelOps.Temporal;

/// <summary>A question to a workflow. It changes nothing and is not stored.</summary>
internal sealed class PendingQuery(WorkflowQuery query)
{
    private readonly TaskCompletionSource<WorkflowQueryResult> answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Id { get; } = $"{Guid.NewGuid()}";
    public WorkflowQuery Query => query;
    public Task<WorkflowQueryResult> Answered => answered.Task;

    public void Answer(WorkflowQueryResult result) => answered.TrySetResult(result);
}

/// <summary>Questions that go to the worker with a workflow task, so that their answers have seen what the task brings.</summary>
internal sealed class Queries
{
    private readonly Dictionary<string, PendingQuery> sent = [];
    private readonly List<PendingQuery> waiting = [];

    public void Add(PendingQuery query) => waiting.Add(query);

    public IEnumerable<PendingQuery> Send()
    {
        var sending = TakeWaiting();
        foreach (var query in sending)
            sent[query.Id] = query;
        return sending;
    }

    public void Unsend()
    {
        waiting.AddRange(sent.Values);
        sent.Clear();
    }

    public void Answer(IEnumerable<KeyValuePair<string, WorkflowQueryResult>> results)
    {
        foreach (var (id, result) in results)
        {
            if (sent.Remove(id, out var query))
                query.Answer(result);
        }
        Unsend();
    }

    public PendingQuery[] TakeAll()
    {
        Unsend();
        return TakeWaiting();
    }

    public PendingQuery[] TakeWaiting()
    {
        PendingQuery[] taken = [.. waiting];
        waiting.Clear();
        return taken;
    }
}
