using Grpc.AspNetCore.Server.Model;

namespace ModelOps.Temporal;

/// <summary>temporal.api.workflowservice.v1.WorkflowService: every call that is served, and who serves it.</summary>
internal sealed class WorkflowService : IServiceMethodProvider<WorkflowService>
{
    private readonly SystemCalls system;
    private readonly ExecutionCalls executions;
    private readonly HistoryCalls histories;
    private readonly WorkerCalls workers;
    private readonly ActivityCalls activities;

    public WorkflowService(Engine engine, TemporalServerOptions options)
    {
        system = new SystemCalls(options);
        executions = new ExecutionCalls(engine);
        histories = new HistoryCalls(engine);
        workers = new WorkerCalls(engine, histories);
        activities = new ActivityCalls(engine);
    }

    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<WorkflowService> context)
    {
        var methods = new RpcMethods<WorkflowService>(context, "temporal.api.workflowservice.v1.WorkflowService");

        methods.Add<GetSystemInfoRequest, GetSystemInfoResponse>(SystemCalls.GetSystemInfo);
        methods.Add<DescribeNamespaceRequest, DescribeNamespaceResponse>(system.DescribeNamespace);

        methods.Add<StartWorkflowExecutionRequest, StartWorkflowExecutionResponse>(executions.StartAsync);

        methods.Add<GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse>(histories.GetAsync);

        methods.Add<PollWorkflowTaskQueueRequest, PollWorkflowTaskQueueResponse>(workers.PollWorkflowTaskAsync);
        methods.Add<RespondWorkflowTaskCompletedRequest, RespondWorkflowTaskCompletedResponse>(workers.CompleteWorkflowTaskAsync);
        methods.Add<RespondWorkflowTaskFailedRequest, RespondWorkflowTaskFailedResponse>(workers.FailWorkflowTaskAsync);
        methods.Add<ShutdownWorkerRequest, ShutdownWorkerResponse>(workers.ShutdownAsync);

        methods.Add<PollActivityTaskQueueRequest, PollActivityTaskQueueResponse>(activities.PollAsync);
        methods.Add<RecordActivityTaskHeartbeatRequest, RecordActivityTaskHeartbeatResponse>(activities.HeartbeatAsync);
        methods.Add<RespondActivityTaskCompletedRequest, RespondActivityTaskCompletedResponse>(activities.CompleteAsync);
        methods.Add<RespondActivityTaskFailedRequest, RespondActivityTaskFailedResponse>(activities.FailAsync);
        methods.Add<RespondActivityTaskCanceledRequest, RespondActivityTaskCanceledResponse>(activities.CancelAsync);
    }
}
