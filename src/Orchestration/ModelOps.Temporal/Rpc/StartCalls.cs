using Grpc.Core;
using ModelOps.Temporal.Schedules;
using ModelOps.Temporal.Visibility;
using Temporalio.Api.ErrorDetails.V1;

namespace ModelOps.Temporal;

/// <summary>Starting runs: alone, with a signal, with an update.</summary>
internal sealed class StartCalls(Engine engine, UpdateCalls updates)
{
    public Task<StartWorkflowExecutionResponse> StartAsync(StartWorkflowExecutionRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() => Start(request));

    public Task<SignalWithStartWorkflowExecutionResponse> SignalWithStartAsync(
        SignalWithStartWorkflowExecutionRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        if (request.SignalName.Length == 0)
            throw RpcErrors.InvalidArgument("SignalName is not set on request.");
        var signal = new HistoryEvent
        {
            WorkflowExecutionSignaledEventAttributes = new()
            {
                SignalName = request.SignalName,
                Input = request.SignalInput,
                Identity = request.Identity,
                Header = request.Header,
                RequestId = request.RequestId,
            },
            Links = { request.Links },
        };
        var started = Start(AsStart(request), signal);
        if (!started.Started)
            engine.FindOpen(request.Namespace, new() { WorkflowId = request.WorkflowId, RunId = started.RunId })!.Signals.Receive(signal);
        return new SignalWithStartWorkflowExecutionResponse { RunId = started.RunId, Started = started.Started };
    });

    /// <summary>Update-with-start: the run starts, or is found, and takes the update in one transaction.</summary>
    public async Task<ExecuteMultiOperationResponse> ExecuteAsync(ExecuteMultiOperationRequest request, CancellationToken cancellationToken)
    {
        if (request.Operations is not [{ StartWorkflow: { } start }, { UpdateWorkflow: { } update }])
            throw RpcErrors.InvalidArgument("Operations have to be exactly [Start, Update].");
        if (update.WorkflowExecution?.WorkflowId is { Length: > 0 } id && id != start.WorkflowId)
            throw RpcErrors.InvalidArgument("WorkflowId is not consistent with previous operation(s).");
        var (started, run, admitted) = engine.Transact(() =>
        {
            var response = Attempt(0, () => Start(start));
            var target = engine.FindOpen(request.Namespace, new() { WorkflowId = start.WorkflowId, RunId = response.RunId });
            return target is null || target.Closed
                ? throw Failed(1, RpcErrors.WorkflowClosed())
                : (response, target, Attempt(1, () => UpdateCalls.Admit(target, update.Request)));
        });
        var updated = await updates.WaitAsync(run, admitted, update.WaitPolicy, cancellationToken).ConfigureAwait(false);
        return new() { Responses = { new ExecuteMultiOperationResponse.Types.Response { StartWorkflow = started }, new ExecuteMultiOperationResponse.Types.Response { UpdateWorkflow = updated } } };

        T Attempt<T>(int operation, Func<T> work)
        {
            try
            {
                return work();
            }
            catch (RpcException failure)
            {
                throw Failed(operation, failure);
            }
        }
    }

    private static StartWorkflowExecutionRequest AsStart(SignalWithStartWorkflowExecutionRequest request) => new()
    {
        Namespace = request.Namespace,
        WorkflowId = request.WorkflowId,
        WorkflowType = request.WorkflowType,
        TaskQueue = request.TaskQueue,
        Input = request.Input,
        WorkflowExecutionTimeout = request.WorkflowExecutionTimeout,
        WorkflowRunTimeout = request.WorkflowRunTimeout,
        WorkflowTaskTimeout = request.WorkflowTaskTimeout,
        Identity = request.Identity,
        RequestId = request.RequestId,
        WorkflowIdReusePolicy = request.WorkflowIdReusePolicy,
        WorkflowIdConflictPolicy = request.WorkflowIdConflictPolicy == WorkflowIdConflictPolicy.Unspecified
            ? WorkflowIdConflictPolicy.UseExisting
            : request.WorkflowIdConflictPolicy,
        RetryPolicy = request.RetryPolicy,
        CronSchedule = request.CronSchedule,
        Memo = request.Memo,
        SearchAttributes = request.SearchAttributes,
        Header = request.Header,
        WorkflowStartDelay = request.WorkflowStartDelay,
        UserMetadata = request.UserMetadata,
        Links = { request.Links },
        Priority = request.Priority,
    };

    /// <summary>The error of a multi-operation: one status for each, aborted for the one that did not fail itself.</summary>
    private static RpcException Failed(int operation, RpcException failure)
    {
        var statuses = Enumerable.Range(0, 2).Select(index => index == operation
            ? new MultiOperationExecutionFailure.Types.OperationStatus
            {
                Code = (int)failure.StatusCode,
                Message = failure.Status.Detail,
                Details = { RpcErrors.Details(failure) },
            }
            : new MultiOperationExecutionFailure.Types.OperationStatus
            {
                Code = (int)StatusCode.Aborted,
                Message = "Operation was aborted.",
                Details = { Any.Pack(new Temporalio.Api.Failure.V1.MultiOperationExecutionAborted()) },
            });
        return RpcErrors.WithDetails(
            failure.StatusCode, "Update-with-Start could not be executed.", new MultiOperationExecutionFailure { Statuses = { statuses } });
    }

    private StartWorkflowExecutionResponse Start(StartWorkflowExecutionRequest request, HistoryEvent? signal = null)
    {
        // 1. The request is sound.
        Check(request);

        // 2. The workflow id is free, or its policies say what to do.
        var latest = engine.FindRow(request.Namespace, new() { WorkflowId = request.WorkflowId });
        if (latest is not null && request.RequestId.Length > 0 && latest.RequestId == request.RequestId)
            return Existing(latest, started: true);
        switch (IdPolicies.Decide(latest, request.WorkflowIdReusePolicy, request.WorkflowIdConflictPolicy))
        {
            case IdDecision.UseExisting:
                return Existing(latest!, started: false);
            case IdDecision.Refuse:
                throw RpcErrors.AlreadyStarted(latest!);
            case IdDecision.TerminateThenStart:
                engine.FindOpen(request.Namespace, new() { WorkflowId = request.WorkflowId })!
                    .Lifetime.Terminate("TerminateIfRunning WorkflowIdReusePolicy", null, "history-service");
                break;
        }

        // 3. The run.
        var key = new RunKey(request.Namespace, request.WorkflowId, $"{Guid.NewGuid()}");
        var start = StartEvents.OfRequest(request, key.RunId, engine.Time.GetUtcNow());
        engine.Start(key, request.RequestId, run => run.Lifetime.Begin(start, request.UserMetadata, signal));
        return new() { RunId = key.RunId, FirstExecutionRunId = key.RunId, Started = true, Status = WorkflowExecutionStatus.Running };
    }

    private static StartWorkflowExecutionResponse Existing(RunRow row, bool started) =>
        new() { RunId = row.Key.RunId, Started = started, Status = row.Status };

    private void Check(StartWorkflowExecutionRequest request)
    {
        string?[] faults =
        [
            request.WorkflowId.Length == 0 ? "WorkflowId is not set on request." : null,
            request.WorkflowType is null or { Name: "" } ? "WorkflowType is not set on request." : null,
            request.TaskQueue is null or { Name: "" } ? "TaskQueue is not set on request." : null,
            request.WorkflowStartDelay.IsSet() && request.CronSchedule.Length > 0
                ? "CronSchedule and WorkflowStartDelay may not be used together."
                : null,
            FaultOf<VisibilityException>(() => VisibilityTable.Attributes(request.SearchAttributes, engine.Namespaces.AttributeTypes(request.Namespace))),
            FaultOf<ScheduleException>(() => _ = request.CronSchedule.Length > 0 ? WorkflowCron.Parse(request.CronSchedule) : null),
        ];
        if (faults.Any(fault => fault is not null))
            throw RpcErrors.InvalidArgument(string.Join(' ', faults.Where(fault => fault is not null)));

        static string? FaultOf<TFault>(Action check)
            where TFault : Exception
        {
            try
            {
                check();
                return null;
            }
            catch (TFault fault)
            {
                return fault.Message;
            }
        }
    }
}
