using Google.Protobuf.WellKnownTypes;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Exceptions;

namespace ModelOps.Temporal.Tests.Conformance;

/// <summary>The service itself: health, capabilities, namespaces, task queues, and what it does not have.</summary>
public sealed class ServiceTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task Health_OfTheService_IsServing() => Assert.True(await Client.Connection.CheckHealthAsync());

    [Fact(Timeout = Timeout)]
    public async Task SystemInfo_Capabilities_AreThoseThatTheSdkNeeds()
    {
        var info = await Client.WorkflowService.GetSystemInfoAsync(new());
        Assert.True(info.Capabilities.SdkMetadata);
        Assert.True(info.Capabilities.SignalAndQueryHeader);
        Assert.True(info.Capabilities.SupportsSchedules);
        Assert.NotEqual("", info.ServerVersion);
    }

    [Fact(Timeout = Timeout)]
    public async Task Namespaces_RegisterDescribeList_Work()
    {
        var described = await Client.WorkflowService.DescribeNamespaceAsync(new() { Namespace = Service.Namespace });
        Assert.Equal((Service.Namespace, NamespaceState.Registered), (described.NamespaceInfo.Name, described.NamespaceInfo.State));
        Assert.Equal(RpcException.StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => Client.WorkflowService.DescribeNamespaceAsync(new() { Namespace = "no-such" }))).Code);
        var name = $"ns-{Guid.NewGuid():N}";
        var register = new RegisterNamespaceRequest { Namespace = name, WorkflowExecutionRetentionPeriod = Duration.FromTimeSpan(TimeSpan.FromDays(1)) };
        await Client.WorkflowService.RegisterNamespaceAsync(register);
        Assert.Equal(RpcException.StatusCode.AlreadyExists, (await Assert.ThrowsAsync<RpcException>(() => Client.WorkflowService.RegisterNamespaceAsync(register))).Code);
        await EventuallyAsync(async () => (await Client.WorkflowService.ListNamespacesAsync(new() { PageSize = 1000 })).Namespaces.Any(n => n.NamespaceInfo.Name == name));
    }

    [Fact(Timeout = Timeout)]
    public async Task TaskQueue_WithAndWithoutWorker_HasPollersAndBacklog()
    {
        await EventuallyAsync(async () => (await DescribeAsync()).Pollers.Count > 0);
        await StopWorkerAsync();
        for (var i = 0; i < 3; i++) await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("x"), Options());
        await EventuallyAsync(async () => (await DescribeAsync()).Stats.ApproximateBacklogCount == 3);

        async Task<DescribeTaskQueueResponse> DescribeAsync() => await Client.WorkflowService.DescribeTaskQueueAsync(new()
        {
            Namespace = Service.Namespace,
            TaskQueue = new() { Name = Queue },
            TaskQueueType = TaskQueueType.Workflow,
            ReportStats = true,
        });
    }

    [Fact(Timeout = Timeout)]
    public async Task Call_NotSupported_IsUnimplementedByName()
    {
        if (!TemporalService.IsEmbedded) Assert.Skip("a real server has it");
        var error = await Assert.ThrowsAsync<RpcException>(() => Client.WorkflowService.ListBatchOperationsAsync(new() { Namespace = Service.Namespace }));
        Assert.Equal(RpcException.StatusCode.Unimplemented, error.Code);
        Assert.Contains("ListBatchOperations", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = Timeout)]
    public async Task Start_WrongRequest_IsInvalidArgument()
    {
        foreach (var request in (StartWorkflowExecutionRequest[])[
            new() { Namespace = Service.Namespace },
            new() { Namespace = Service.Namespace, WorkflowId = NewId(), TaskQueue = new() { Name = Queue } },
            new() { Namespace = Service.Namespace, WorkflowId = NewId(), WorkflowType = new() { Name = "OneActivity" } },
            new() { Namespace = Service.Namespace, WorkflowId = NewId(), WorkflowType = new() { Name = "OneActivity" }, TaskQueue = new() { Name = Queue }, CronSchedule = "now and then" }])
        {
            var error = await Assert.ThrowsAsync<RpcException>(() => Client.WorkflowService.StartWorkflowExecutionAsync(request));
            Assert.Equal(RpcException.StatusCode.InvalidArgument, error.Code);
        }
    }
}
