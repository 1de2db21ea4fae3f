using Temporalio.Api.Update.V1;

namespace ModelOps.Temporal;

/// <summary>Updates: requests to a run that are answered.</summary>
internal sealed class UpdateCalls(Engine engine)
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(20);

    public static RunUpdate Admit(Run run, Request request)
    {
        if (request?.Meta is null)
            throw RpcErrors.InvalidArgument("Update request or its metadata is not set.");
        if (request.Meta.UpdateId.Length == 0)
            request.Meta.UpdateId = $"{Guid.NewGuid()}";
        return run.Updates.Admit(request);
    }

    public async Task<UpdateWorkflowExecutionResponse> UpdateAsync(UpdateWorkflowExecutionRequest request, CancellationToken cancellationToken)
    {
        var (run, update) = engine.Transact(() =>
        {
            var target = engine.Load(request.Namespace, request.WorkflowExecution)
                ?? throw RpcErrors.WorkflowNotFound(request.WorkflowExecution.WorkflowId);
            if (request.FirstExecutionRunId.Length > 0 && target.Start.FirstExecutionRunId != request.FirstExecutionRunId)
                throw RpcErrors.WorkflowNotFound(request.WorkflowExecution.WorkflowId);
            if (!target.Closed)
                return (target, Admit(target, request.Request));
            return target.Updates.Find(request.Request.Meta.UpdateId) is { } known ? (target, known) : throw RpcErrors.WorkflowClosed();
        });
        return await WaitAsync(run, update, request.WaitPolicy, cancellationToken).ConfigureAwait(false);
    }

    public async Task<PollWorkflowExecutionUpdateResponse> PollAsync(
        PollWorkflowExecutionUpdateRequest request, CancellationToken cancellationToken)
    {
        var execution = request.UpdateRef.WorkflowExecution;
        var (run, update) = engine.Transact(() =>
        {
            var target = engine.Load(request.Namespace, execution) ?? throw RpcErrors.WorkflowNotFound(execution.WorkflowId);
            return target.Updates.Find(request.UpdateRef.UpdateId) is { } known
                ? (target, known)
                : throw RpcErrors.NotFound($"update {request.UpdateRef.UpdateId} not found");
        });
        var answer = await WaitAsync(run, update, request.WaitPolicy, cancellationToken).ConfigureAwait(false);
        return new() { Outcome = answer.Outcome, Stage = answer.Stage, UpdateRef = answer.UpdateRef };
    }

    /// <summary>Waits until an update is as far as its caller wants, or for as long as one call lasts: the caller then polls.</summary>
    public async Task<UpdateWorkflowExecutionResponse> WaitAsync(
        Run run, RunUpdate update, WaitPolicy? wanted, CancellationToken cancellationToken)
    {
        var until = engine.Time.GetUtcNow() + patience;
        while (true)
        {
            var (stage, closed, change) = engine.Transact(() => (update.Stage, run.Closed, engine.ChangeAsync(run)));
            var left = until - engine.Time.GetUtcNow();
            if (closed && stage == UpdateWorkflowExecutionLifecycleStage.Admitted)
                throw RpcErrors.WorkflowClosed();
            if (stage >= (wanted?.LifecycleStage ?? UpdateWorkflowExecutionLifecycleStage.Unspecified) || left <= TimeSpan.Zero)
                break;
            await change.WaitAsync(left, engine.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
        await engine.DurableAsync().ConfigureAwait(false);
        return new()
        {
            UpdateRef = new() { WorkflowExecution = run.Execution, UpdateId = update.Id },
            Outcome = update.Outcome,
            Stage = update.Stage,
        };
    }
}
