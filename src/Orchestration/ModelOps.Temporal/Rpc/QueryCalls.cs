using System.Collections.Concurrent;
using Grpc.Core;
using Temporalio.Api.ErrorDetails.V1;

namespace ModelOps.Temporal;

/// <summary>Questions to workflows, open and closed.</summary>
internal sealed class QueryCalls(Engine engine)
{
    private const int failingAttempt = 3;
    private static readonly TimeSpan stickyPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(30);
    private readonly ConcurrentDictionary<string, PendingQuery> pending = [];

    public async Task<QueryWorkflowResponse> QueryAsync(QueryWorkflowRequest request, CancellationToken cancellationToken)
    {
        var query = new PendingQuery(request.Query);
        pending[query.Id] = query;
        Offer? offer = null;
        try
        {
            // 1. To the workflow task that is there or about to be, else directly to a worker.
            var (run, rejected) = engine.Transact(() => Ask(request, query, ref offer));
            if (rejected is { } status)
                return new() { QueryRejected = new() { Status = status } };

            // 2. A sticky worker that does not take it may be gone: then to any.
            await ((Task)query.Answered).WaitAsync(stickyPatience, engine.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!query.Answered.IsCompleted && !cancellationToken.IsCancellationRequested)
                engine.Transact(() => offer = offer?.Queue is null ? offer : Reoffer(run, query, offer));
            return Response(await query.Answered.WaitAsync(patience, engine.Time, cancellationToken).ConfigureAwait(false));
        }
        catch (TimeoutException)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, "No worker answered the query in time."));
        }
        finally
        {
            pending.TryRemove(query.Id, out _);
            engine.Transact(() =>
            {
                offer?.Queue?.Remove(offer);
                return true;
            });
        }
    }

    public Task<RespondQueryTaskCompletedResponse> AnswerAsync(RespondQueryTaskCompletedRequest request, CancellationToken cancellationToken)
    {
        if (TaskToken.QueryId(request.TaskToken) is not { } id || !pending.TryGetValue(id, out var query))
            throw RpcErrors.NotFound("query task not found, or already expired");
        query.Answer(new()
        {
            ResultType = request.CompletedType,
            Answer = request.QueryResult,
            ErrorMessage = request.ErrorMessage,
            Failure = request.Failure,
        });
        return Task.FromResult(new RespondQueryTaskCompletedResponse());
    }

    private static QueryWorkflowResponse Response(Temporalio.Api.Query.V1.WorkflowQueryResult result) =>
        result.ResultType == QueryResultType.Answered
            ? new() { QueryResult = result.Answer }
            : throw RpcErrors.WithDetails(StatusCode.InvalidArgument, result.ErrorMessage, new QueryFailedFailure { Failure = result.Failure });

    private static bool IsRejected(WorkflowExecutionStatus status, QueryRejectCondition condition) => condition switch
    {
        QueryRejectCondition.NotOpen => status != WorkflowExecutionStatus.Running,
        QueryRejectCondition.NotCompletedCleanly => status is not (WorkflowExecutionStatus.Running or WorkflowExecutionStatus.Completed),
        _ => false,
    };

    private (Run Run, WorkflowExecutionStatus? Rejected) Ask(QueryWorkflowRequest request, PendingQuery query, ref Offer? offer)
    {
        var run = engine.Load(request.Namespace, request.Execution) ?? throw RpcErrors.WorkflowNotFound(request.Execution.WorkflowId);
        if (IsRejected(run.Lifetime.Status, request.QueryRejectCondition))
            return (run, run.Lifetime.Status);
        if (!run.Closed && run.Task.Attempt >= failingAttempt)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, "Cannot query workflow due to Workflow Task in failed state."));
        if (!run.Closed && (run.Task.State != WorkflowTaskState.None || run.Task.LastStartedEventId == 0))
            run.Queries.Add(query);
        else
            offer = engine.Matching.OfferQuery(run, query, sticky: true);
        return (run, null);
    }

    private Offer Reoffer(Run run, PendingQuery query, Offer offer)
    {
        offer.Queue?.Remove(offer);
        return engine.Matching.OfferQuery(run, query, sticky: false);
    }
}
