using System.Diagnostics;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Telemetry;

namespace ModelOps.Tests.Deployments;

/// <summary>Deployments and their adapters on a real server: who answers, what is refused, and what survives.</summary>
[Collection(ServingTests.Name)]
public sealed class DeploymentTests(ServingServer server)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Adapters_OfADeployment_AreModelsOfTheirOwnAndSurviveARestart()
    {
        // 1. With the deployment, and beside one that runs.
        var deployed = await server.DeployAsync("base-q8", "words", ("tone", "tone"));
        Assert.Equal([("tone", "words:tone", "tone@1")], deployed.Adapters.Select(adapter => (adapter.Name, adapter.Model, adapter.Artifact)));
        Assert.True(deployed is { InMemory: true, MemoryBytes: > 1_000_000, LoadSeconds: > 0 });
        var plain = await server.AskAsync("words");
        var toned = await server.AskAsync("words:tone");
        Assert.NotEqual(plain, toned);
        var added = await RunAsync("deployments", "adapters", "add", "words", "second", "tone@1");
        Assert.Equal("words:second", JsonSerializer.Deserialize(added.Out, WireJson.Default.DeployedAdapter)!.Model);
        Assert.Equal(toned, await server.AskAsync("words:second"));

        // 2. What serves an artifact is in its lineage.
        var lineage = await server.Client.Artifacts.GetLineageAsync("tone", cancellationToken: Cancel);
        Assert.Contains(lineage.Edges, edge => (edge.From, edge.To) == ("tone@1", "deployment:words:tone"));

        // 3. Measured, the model and its adapter apart.
        foreach (var adapter in new[] { "", "tone" })
        {
            await MeasuredAsync(sample => sample.Name == "modelops_inference_time_to_first_token_seconds_count" && sample.Value > 0
                && sample.Labels["model"] == "words" && sample.Labels["adapter"] == adapter);
            await MeasuredAsync(sample => sample.Name == "modelops_inference_inter_token_latency_seconds_count" && sample.Value > 0
                && sample.Labels["model"] == "words" && sample.Labels["adapter"] == adapter);
        }
        await MeasuredAsync(sample => sample.Name == "modelops_inference_memory_usage_bytes" && sample.Labels["model"] == "words" && sample.Value > 1_000_000);

        var stats = JsonSerializer.Deserialize((await RunAsync("deployments", "show", "words")).Out, WireJson.Default.Deployment)!.Stats!;
        Assert.Equal([("words", 1L), ("words:second", 1L), ("words:tone", 1L)], stats.Models.Select(model => (model.Model, model.Requests)));
        Assert.All(stats.Models, model => Assert.True(model is { TimeToFirstToken.P95: > 0, InterTokenLatency.P50: > 0, CompletionTokens: > 1, Course.TokensPerSecond.Count: 60 }));

        // 4. Pull the plug: all of it is back.
        await server.RestartAsync();
        await Eventually.HoldsAsync(async () => (await server.Client.GetReadinessAsync(Cancel)).Status == "ready", Cancel);
        Assert.Equal((plain, toned), (await server.AskAsync("words"), await server.AskAsync("words:tone")));

        // 5. One goes, the others stay.
        var removed = await RunAsync("deployments", "adapters", "remove", "words", "second");
        Assert.Equal(["tone"], JsonSerializer.Deserialize(removed.Out, WireJson.Default.PageDeployedAdapter)!.Items.Select(adapter => adapter.Name));
        Assert.Equal(ProblemTypes.NotFound, (await Assert.ThrowsAsync<ModelOpsException>(() => server.AskAsync("words:second"))).Problem.Type);
        Assert.Equal(toned, await server.AskAsync("words:tone"));
        var listed = await RunAsync("deployments", "adapters", "list", "words");
        Assert.Equal(["words:tone"], JsonSerializer.Deserialize(listed.Out, WireJson.Default.PageDeployedAdapter)!.Items.Select(adapter => adapter.Model));
        await RunAsync("deployments", "stop", "words");
        Assert.Equal(ProblemTypes.NotFound, (await Assert.ThrowsAsync<ModelOpsException>(() => server.AskAsync("words:tone"))).Problem.Type);
    }

    [Fact]
    public async Task Deploy_AnAdapterOfAnotherModel_IsRefusedWithBothNames()
    {
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => server.DeployAsync("other-q8", "wrong", ("tone", "tone")));
        Assert.Equal(ProblemTypes.Invalid, refused.Problem.Type);
        Assert.Contains("tone@1 was trained on base@1; other-q8@1 was made of other@1", refused.Problem.Detail, StringComparison.Ordinal);
        Assert.DoesNotContain(await server.Client.Deployments.ListAsync(Cancel), deployment => deployment.Name == "wrong");
    }

    [Fact]
    public async Task Deploy_WhatConfigurationForbids_IsRefusedByName()
    {
        await server.RestartAsync("deployments:required_stage=staging", "inference:memory_budget=2000000");
        var tooLow = await Assert.ThrowsAsync<ModelOpsException>(() => server.DeployAsync("base-q8", "staged"));
        Assert.Equal(ProblemTypes.GatesNotMet, tooLow.Problem.Type);
        Assert.Contains("base-q8@1 is in DEV; deployments:required_stage wants STAGING or PRODUCTION", tooLow.Problem.Detail, StringComparison.Ordinal);

        await server.RestartAsync("inference:memory_budget=2000000");
        var tooLarge = await Assert.ThrowsAsync<ModelOpsException>(() => server.DeployAsync("base-q8", "large"));
        Assert.Equal(ProblemTypes.Invalid, tooLarge.Problem.Type);
        Assert.Matches(@"base-q8@1 needs \d+(\.\d)? MB of memory .*; inference:memory_budget is 2 MB", tooLarge.Problem.Detail);
        await server.RestartAsync();
    }

    [Fact]
    public async Task Replace_WhileRequestsRun_LosesNone()
    {
        await server.DeployAsync("base-q8", "busy", ("tone", "tone"));
        using var done = new CancellationTokenSource();
        var clients = Enumerable.Range(0, 6).Select(async number =>
        {
            var answers = 0;
            for (; !done.IsCancellationRequested; answers++) await server.AskAsync(number % 2 == 0 ? "busy" : "busy:tone");
            return answers;
        }).ToArray();
        foreach (var artifact in new[] { "base-q8", "base-q8@1", "base-q8" })
            await server.DeployAsync(artifact, "busy", ("tone", "tone"));
        await server.Client.Deployments.AddAdapterAsync("busy", "tone", "tone@1", Cancel);
        await done.CancelAsync();
        Assert.All(await Task.WhenAll(clients), answers => Assert.True(answers > 0));
        await server.Client.Deployments.StopAsync("busy", Cancel);
    }

    [Fact]
    public async Task Abort_OfTheWorker_CostsTheRequestsUnderWayAlone()
    {
        await server.DeployAsync("base-q8", "frail");
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var underWay = Task.Run(
            async () =>
            {
                while (true)
                {
                    var request = new ChatRequest { Model = "frail", Messages = [new("user", "What does \"river\" mean?")], MaxTokens = 400, Temperature = 1.5 };
                    await server.Client.Chat.CompleteAsync(request, _ => begun.TrySetResult(), Cancel);
                }
            },
            Cancel);
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        var gateway = server.Server.ProcessId;
        await TestServer.AbortAsync(Assert.Single(TestServer.Workers(server.Home, "inference")), Cancel);
        var clock = Stopwatch.StartNew();

        var failed = await Assert.ThrowsAsync<ModelOpsException>(() => underWay).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.NotEqual(ProblemTypes.NotFound, failed.Problem.Type);
        await Eventually.HoldsAsync(
            async () =>
            {
                try
                {
                    return (await server.AskAsync("frail")).Length > 0;
                }
                catch (ModelOpsException e)
                {
                    Assert.Equal(ProblemTypes.Unavailable, e.Problem.Type); // known, and asked to come again
                    return false;
                }
            },
            Cancel);
        TestContext.Current.TestOutputHelper!.WriteLine($"answered again {clock.Elapsed.TotalSeconds:0.0} s after the abort");
        using var process = Process.GetProcessById(gateway);
        Assert.False(process.HasExited);
        await server.Client.Deployments.StopAsync("frail", Cancel);
    }

    private async Task<CliRun> RunAsync(params string[] command)
    {
        var run = await CliRun.Of([.. command, "--json", "--home", server.Home], cancellationToken: Cancel);
        Assert.True(run.Code == ExitCodes.Done, $"{string.Join(' ', command)}: {run.Error}");
        return run;
    }

    /// <summary>An answer is measured behind its last piece, which its client may have first.</summary>
    private Task MeasuredAsync(Predicate<Sample> wanted) => Eventually.HoldsAsync(async () => (await server.MetricsAsync()).Any(sample => wanted(sample)), Cancel);
}
