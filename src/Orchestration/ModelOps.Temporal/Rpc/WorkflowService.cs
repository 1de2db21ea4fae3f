using Grpc.AspNetCore.Server.Model;

namespace ModelOps.Temporal;

/// <summary>temporal.api.workflowservice.v1.WorkflowService: every call that is served, and who serves it.</summary>
internal sealed class WorkflowService(Engine engine) : IServiceMethodProvider<WorkflowService>
{
    public const string Name = "temporal.api.workflowservice.v1.WorkflowService";

    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<WorkflowService> context)
    {
        var methods = new RpcMethods<WorkflowService>(context, Name, engine);

        methods.Add<GetSystemInfoRequest, GetSystemInfoResponse>(SystemCalls.GetSystemInfoAsync);
        methods.Add<GetClusterInfoRequest, GetClusterInfoResponse>(SystemCalls.GetClusterInfoAsync);

        var namespaces = new NamespaceCalls(engine);
        methods.AddAnyNamespace<DescribeNamespaceRequest, DescribeNamespaceResponse>(namespaces.DescribeAsync);
        methods.AddAnyNamespace<RegisterNamespaceRequest, RegisterNamespaceResponse>(namespaces.RegisterAsync);
        methods.AddAnyNamespace<ListNamespacesRequest, ListNamespacesResponse>(namespaces.ListAsync);
        methods.AddAnyNamespace<UpdateNamespaceRequest, UpdateNamespaceResponse>(namespaces.UpdateAsync);

        var updates = new UpdateCalls(engine);
        methods.Add<UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse>(updates.UpdateAsync);
        methods.Add<PollWorkflowExecutionUpdateRequest, PollWorkflowExecutionUpdateResponse>(updates.PollAsync);

        var starts = new StartCalls(engine, updates);
        methods.Add<StartWorkflowExecutionRequest, StartWorkflowExecutionResponse>(starts.StartAsync);
        methods.Add<SignalWithStartWorkflowExecutionRequest, SignalWithStartWorkflowExecutionResponse>(starts.SignalWithStartAsync);
        methods.Add<ExecuteMultiOperationRequest, ExecuteMultiOperationResponse>(starts.ExecuteAsync);

        var executions = new ExecutionCalls(engine);
        methods.Add<SignalWorkflowExecutionRequest, SignalWorkflowExecutionResponse>(executions.SignalAsync);
        methods.Add<RequestCancelWorkflowExecutionRequest, RequestCancelWorkflowExecutionResponse>(executions.RequestCancelAsync);
        methods.Add<TerminateWorkflowExecutionRequest, TerminateWorkflowExecutionResponse>(executions.TerminateAsync);
        methods.Add<ResetWorkflowExecutionRequest, ResetWorkflowExecutionResponse>(executions.ResetAsync);
        methods.Add<DeleteWorkflowExecutionRequest, DeleteWorkflowExecutionResponse>(executions.DeleteAsync);
        methods.Add<DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse>(executions.DescribeAsync);

        var queries = new QueryCalls(engine);
        methods.Add<QueryWorkflowRequest, QueryWorkflowResponse>(queries.QueryAsync);
        methods.Add<RespondQueryTaskCompletedRequest, RespondQueryTaskCompletedResponse>(queries.AnswerAsync);

        var histories = new HistoryCalls(engine);
        methods.Add<GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse>(histories.GetAsync);
        methods.Add<GetWorkflowExecutionHistoryReverseRequest, GetWorkflowExecutionHistoryReverseResponse>(histories.GetReverseAsync);

        var visibility = new VisibilityCalls(engine);
        methods.Add<ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse>(visibility.ListAsync);
        methods.Add<CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse>(visibility.CountAsync);
        methods.Add<GetSearchAttributesRequest, GetSearchAttributesResponse>(VisibilityCalls.GetSearchAttributesAsync);

        var workers = new WorkerCalls(engine, histories);
        methods.Add<PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse>(workers.PollAsync);
        methods.Add<RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskCompletedResponse>(workers.CompleteAsync);
        methods.Add<RespondWorkflowTaskFailedRequest, RespondWorkflowTaskFailedResponse>(workers.FailAsync);
        methods.Add<ResetStickyTaskQueueRequest, ResetStickyTaskQueueResponse>(workers.ResetStickyAsync);
        methods.Add<ShutdownWorkerRequest, ShutdownWorkerResponse>(workers.ShutdownAsync);

        var activities = new ActivityCalls(engine);
        methods.Add<PollActivityTaskQueueRequest, PollActivityTaskQueueResponse>(activities.PollAsync);
        methods.Add<RecordActivityTaskHeartbeatRequest, RecordActivityTaskHeartbeatResponse>(activities.HeartbeatAsync);
        methods.Add<RespondActivityTaskCompletedRequest, RespondActivityTaskCompletedResponse>(activities.CompleteAsync);
        methods.Add<RespondActivityTaskFailedRequest, RespondActivityTaskFailedResponse>(activities.FailAsync);
        methods.Add<RespondActivityTaskCanceledRequest, RespondActivityTaskCanceledResponse>(activities.CancelAsync);
        methods.Add<RecordActivityTaskHeartbeatByIdRequest, RecordActivityTaskHeartbeatByIdResponse>(activities.HeartbeatByIdAsync);
        methods.Add<RespondActivityTaskCompletedByIdRequest, RespondActivityTaskCompletedByIdResponse>(activities.CompleteByIdAsync);
        methods.Add<RespondActivityTaskFailedByIdRequest, RespondActivityTaskFailedByIdResponse>(activities.FailByIdAsync);
        methods.Add<RespondActivityTaskCanceledByIdRequest, RespondActivityTaskCanceledByIdResponse>(activities.CancelByIdAsync);

        var taskQueues = new TaskQueueCalls(engine);
        methods.Add<DescribeTaskQueueRequest, DescribeTaskQueueResponse>(taskQueues.DescribeAsync);

        var schedules = new ScheduleCalls(engine);
        methods.Add<CreateScheduleRequest, CreateScheduleResponse>(schedules.CreateAsync);
        methods.Add<DescribeScheduleRequest, DescribeScheduleResponse>(schedules.DescribeAsync);
        methods.Add<UpdateScheduleRequest, UpdateScheduleResponse>(schedules.UpdateAsync);
        methods.Add<PatchScheduleRequest, PatchScheduleResponse>(schedules.PatchAsync);
        methods.Add<DeleteScheduleRequest, DeleteScheduleResponse>(schedules.DeleteAsync);
        methods.Add<ListSchedulesRequest, ListSchedulesResponse>(schedules.ListAsync);
        methods.Add<ListScheduleMatchingTimesRequest, ListScheduleMatchingTimesResponse>(schedules.ListMatchingTimesAsync);
    }
}
