using Temporalio.Client;
using Temporalio.Common;
using Temporalio.Exceptions;

namespace ModelOps.Temporal.Tests.Conformance;

public sealed class ListTests(TemporalService service) : ConformanceTest(service)
{
    [Fact(Timeout = Timeout)]
    public async Task List_ByFieldsAndAttributes_FindsTheRuns()
    {
        var done = await Client.StartWorkflowAsync((OneActivity w) => w.RunAsync("x"), Attributes("red", 1));
        await done.GetResultAsync();
        var running = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Attributes("blue", 2));
        await EventuallyAsync(async () => (await Client.CountWorkflowsAsync($"TaskQueue = '{Queue}' AND CloseTime IS NOT NULL")).Count == 1
            && (await Client.CountWorkflowsAsync($"TaskQueue = '{Queue}'")).Count == 2);
        foreach (var (query, ids) in ((string, string[])[])[
            ("", [running.Id, done.Id]),
            ("AND ExecutionStatus = 'Completed'", [done.Id]),
            ("AND WorkflowType = 'Listener'", [running.Id]),
            ("AND TestKeyword = 'red'", [done.Id]),
            ("AND TestInt >= 2", [running.Id]),
            ("AND TestList = 'x' AND TestKeyword IN ('blue', 'green')", [running.Id]),
            ("AND (TestKeyword = 'none' OR StartTime < '2020-01-01T00:00:00Z')", []),
            ("AND WorkflowId STARTS_WITH 'test-'", [running.Id, done.Id]),
            ("AND CloseTime IS NULL", [running.Id])])
        {
            var found = await Client.ListWorkflowsAsync($"TaskQueue = '{Queue}' {query}").Select(execution => execution.Id).ToListAsync(Cancel);
            Assert.Equal(ids.Order(), found.Order());
        }
        await running.TerminateAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task List_InPages_FindsEachOnce()
    {
        var ids = new List<string>();
        for (var i = 0; i < 7; i++) ids.Add((await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options())).Id);
        var query = $"TaskQueue = '{Queue}'";
        await EventuallyAsync(async () => (await Client.CountWorkflowsAsync(query)).Count == 7);
        var found = new List<string>();
        byte[]? token = null;
        do
        {
            var page = await Client.ListWorkflowsPaginatedAsync(query, token, new() { PageSize = 3 });
            Assert.InRange(page.Workflows.Count, 0, 3);
            found.AddRange(page.Workflows.Select(workflow => workflow.Id));
            token = page.NextPageToken;
        }
        while (token is { Length: > 0 });
        Assert.Equal(ids.Order(), found.Order());
        foreach (var id in ids) await Client.GetWorkflowHandle(id).TerminateAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task Count_GroupedByStatus_CountsEach()
    {
        await Client.ExecuteWorkflowAsync((OneActivity w) => w.RunAsync("x"), Options());
        var running = await Client.StartWorkflowAsync((Listener w) => w.RunAsync(), Options());
        var query = $"TaskQueue = '{Queue}' GROUP BY ExecutionStatus";
        await EventuallyAsync(async () => (await Client.CountWorkflowsAsync(query)).Groups.Count == 2);
        var count = await Client.CountWorkflowsAsync(query);
        Assert.Equal(2, count.Count);
        Assert.Equal(["Completed 1", "Running 1"], count.Groups.Select(group => $"{group.GroupValues.Single()} {group.Count}").Order());
        await running.TerminateAsync();
    }

    [Fact(Timeout = Timeout)]
    public async Task List_WrongQuery_IsInvalidArgument()
    {
        var error = await Assert.ThrowsAsync<RpcException>(async () => await Client.ListWorkflowsAsync("WorkflowId LIKES 'x'").ToListAsync(Cancel));
        Assert.Equal(RpcException.StatusCode.InvalidArgument, error.Code);
        Assert.Equal(RpcException.StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => Client.CountWorkflowsAsync("Nobody = 1"))).Code);
    }

    private WorkflowOptions Attributes(string keyword, long number) => new(NewId(), Queue)
    {
        TypedSearchAttributes = new SearchAttributeCollection.Builder()
            .Set(SearchAttributeKey.CreateKeyword("TestKeyword"), keyword)
            .Set(SearchAttributeKey.CreateLong("TestInt"), number)
            .Set(SearchAttributeKey.CreateKeywordList("TestList"), ["x", "y"])
            .ToSearchAttributeCollection(),
    };
}
