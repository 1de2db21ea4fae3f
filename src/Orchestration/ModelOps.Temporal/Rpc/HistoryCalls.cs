using System.Globalization;

namespace ModelOps.Temporal;

/// <summary>Reading histories: in pages from the store, forwards and backwards, and as they grow.</summary>
internal sealed class HistoryCalls(Engine engine)
{
    private const int pageSize = 1000;
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(20);

    public async Task<GetWorkflowExecutionHistoryResponse> GetAsync(
        GetWorkflowExecutionHistoryRequest request, CancellationToken cancellationToken)
    {
        var (row, from) = engine.Transact(() => Locate(request.Namespace, request.Execution, request.NextPageToken));
        var closeOnly = request.HistoryEventFilterType == HistoryEventFilterType.CloseEvent;
        var (count, closed, transient) = await ExtentAsync(row, from, closeOnly, request.WaitNewEvent, cancellationToken).ConfigureAwait(false);
        await engine.DurableAsync().ConfigureAwait(false);

        using var reader = engine.Read();
        var response = new GetWorkflowExecutionHistoryResponse { History = new() };
        var events = response.History.Events;
        if (closeOnly)
        {
            if (closed || !request.WaitNewEvent)
                events.AddRange(reader.Events(row.Number, count - 1, count, 1));
            else
                response.NextPageToken = Page(row.Key.RunId, from);
            return response;
        }
        events.AddRange(reader.Events(row.Number, from, count, Limit(request.MaximumPageSize)));
        var next = from + events.Count;
        if (next >= count)
            events.AddRange(transient.Skip((int)(next - count))); // a worker that pages through a transient task's history needs its end
        if (next < count || (request.WaitNewEvent && !closed))
            response.NextPageToken = Page(row.Key.RunId, next);
        return response;
    }

    public async Task<GetWorkflowExecutionHistoryReverseResponse> GetReverseAsync(
        GetWorkflowExecutionHistoryReverseRequest request, CancellationToken cancellationToken)
    {
        var (row, from) = await engine.TransactAsync(() => Locate(request.Namespace, request.Execution, request.NextPageToken)).ConfigureAwait(false);
        using var reader = engine.Read();
        var events = reader.EventsBackwards(row.Number, from > 0 ? from : long.MaxValue, Limit(request.MaximumPageSize));
        return new()
        {
            History = new() { Events = { events } },
            NextPageToken = events is [.., { EventId: > 1 and var last }] ? Page(row.Key.RunId, last) : ByteString.Empty,
        };
    }

    /// <summary>Gives a workflow task the history that its worker has not seen; of a long one the first page.</summary>
    public PollWorkflowTaskQueueResponse Fill(WorkflowTaskHandout task)
    {
        var events = task.Response.History.Events;
        if (task.Events is { Length: <= pageSize } inMemory)
        {
            events.AddRange(inMemory);
            events.AddRange(task.Transient);
            return task.Response;
        }
        FillFromStore(task.Response, task.Run, task.SeenEventId, task.Response.StartedEventId, task.Transient);
        return task.Response;
    }

    /// <summary>Gives a question the whole history, when its worker does not have the run.</summary>
    public PollWorkflowTaskQueueResponse Fill(QueryHandout query)
    {
        if (!query.IsSticky)
            FillFromStore(query.Response, query.Run, 0, query.UpTo, []);
        return query.Response;
    }

    private static int Limit(int wanted) => wanted is > 0 and < pageSize ? wanted : pageSize;

    private static ByteString Page(string runId, long next) => ByteString.CopyFromUtf8($"{runId}|{next}");

    private void FillFromStore(PollWorkflowTaskQueueResponse response, Run run, long after, long upTo, HistoryEvent[] transient)
    {
        using var reader = engine.Read();
        var events = response.History.Events;
        events.AddRange(reader.Events(run.Number, after, upTo, pageSize));
        if (after + events.Count < upTo - transient.Length)
            response.NextPageToken = Page(run.Key.RunId, after + events.Count);
        else
            events.AddRange(transient);
    }

    private (RunRow Row, long From) Locate(string ns, WorkflowExecution execution, ByteString page)
    {
        var (runId, from) = page.ToStringUtf8().Split('|') is [var id, var next] && long.TryParse(next, CultureInfo.InvariantCulture, out var number)
            ? (id, number)
            : (execution.RunId, 0);
        var row = engine.FindRow(ns, new() { WorkflowId = execution.WorkflowId, RunId = runId });
        return row is null ? throw RpcErrors.WorkflowNotFound(execution.WorkflowId) : (row, from);
    }

    /// <summary>How long the history is, once it has what the caller waits for or the call has lasted long enough.</summary>
    private async Task<(long Count, bool Closed, HistoryEvent[] Transient)> ExtentAsync(
        RunRow row, long from, bool closeOnly, bool wait, CancellationToken cancellationToken)
    {
        var until = engine.Time.GetUtcNow() + patience;
        while (true)
        {
            var (count, closed, transient, change) = engine.Transact(() =>
                engine.FindOpen(row.Key.Namespace, new() { WorkflowId = row.Key.WorkflowId, RunId = row.Key.RunId }) is { } run
                    ? (run.History.Count, run.Closed, run.Task.Transient, wait ? engine.ChangeAsync(run) : Task.CompletedTask)
                    : (StoredCount(row), true, [], Task.CompletedTask));
            var left = until - engine.Time.GetUtcNow();
            if (!wait || closed || (!closeOnly && count > from) || left <= TimeSpan.Zero)
                return (count, closed, transient);
            await change.WaitAsync(left, engine.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private long StoredCount(RunRow row)
    {
        using var reader = engine.Read();
        return reader.EventCount(row.Number);
    }
}
