using System.Globalization;

namespace ModelOps.Temporal;

/// <summary>Reading histories: in pages from the store, and as they grow.</summary>
internal sealed class HistoryCalls(Engine engine)
{
    private const int pageSize = 1000;
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(20);

    public async Task<GetWorkflowExecutionHistoryResponse> GetAsync(
        GetWorkflowExecutionHistoryRequest request, CancellationToken cancellationToken)
    {
        var (row, from) = engine.Transact(() => Locate(request));
        var closeOnly = request.HistoryEventFilterType == HistoryEventFilterType.CloseEvent;
        var count = await CountAsync(row, from, closeOnly, request.WaitNewEvent, cancellationToken).ConfigureAwait(false);
        await engine.DurableAsync().ConfigureAwait(false);

        using var reader = engine.Read();
        var response = new GetWorkflowExecutionHistoryResponse { History = new() };
        if (closeOnly)
        {
            if (count.Closed || !request.WaitNewEvent)
                response.History.Events.AddRange(reader.Events(row.Number, count.Events - 1, count.Events, 1));
            else
                response.NextPageToken = Page(row.Key.RunId, from);
            return response;
        }
        var limit = request.MaximumPageSize is > 0 and < pageSize ? request.MaximumPageSize : pageSize;
        response.History.Events.AddRange(reader.Events(row.Number, from, count.Events, limit));
        var next = from + response.History.Events.Count;
        if (next < count.Events || (request.WaitNewEvent && !count.Closed))
            response.NextPageToken = Page(row.Key.RunId, next);
        return response;
    }

    /// <summary>Gives a workflow task the history that its worker has not seen.</summary>
    public PollWorkflowTaskQueueResponse Fill(WorkflowTaskHandout task)
    {
        var events = task.Response.History.Events;
        if (task.Events is { } inMemory)
        {
            events.AddRange(inMemory);
        }
        else
        {
            using var reader = engine.Read();
            events.AddRange(reader.Events(task.Run.Number, task.SeenEventId, task.Response.StartedEventId, int.MaxValue));
        }
        events.AddRange(task.Transient);
        return task.Response;
    }

    private static ByteString Page(string runId, long next) => ByteString.CopyFromUtf8($"{runId}|{next}");

    private (RunRow Row, long From) Locate(GetWorkflowExecutionHistoryRequest request)
    {
        var (runId, from) = request.NextPageToken.ToStringUtf8().Split('|') is [var id, var next]
            ? (id, long.Parse(next, CultureInfo.InvariantCulture))
            : (request.Execution.RunId, 0);
        var row = engine.FindRow(request.Namespace, request.Execution.WorkflowId, runId);
        return row is null ? throw RpcErrors.WorkflowNotFound(request.Execution.WorkflowId) : (row, from);
    }

    /// <summary>How long the history is, once it has what the caller waits for.</summary>
    private async Task<(long Events, bool Closed)> CountAsync(
        RunRow row, long from, bool closeOnly, bool wait, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        enough.CancelAfter(patience);
        while (true)
        {
            var (events, closed, change) = engine.Transact(() =>
                engine.FindOpen(row.Key.Namespace, row.Key.WorkflowId, row.Key.RunId) is { } run
                    ? (run.History.Count, run.Closed, Change: engine.ChangeAsync(run))
                    : (StoredCount(row), true, Change: Task.CompletedTask));
            if (!wait || closed || (!closeOnly && events > from) || enough.IsCancellationRequested)
                return (events, closed);
            await change.WaitAsync(enough.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private long StoredCount(RunRow row)
    {
        using var reader = engine.Read();
        return reader.EventCount(row.Number);
    }
}
