using System.Diagnostics;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Deployments;

/// <summary>Deployments in several worker processes: who answers, what a death costs, and what a replacement does.</summary>
[Collection(ServingTests.Name)]
[EmbeddedOnly("the store is read by one worker as by two")]
public sealed class ReplicaTests(ServingServer server) : IAsyncLifetime
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await server.RestartAsync("workers:inference:max=2");

    public async ValueTask DisposeAsync() => await server.RestartAsync();

    [Fact]
    public async Task Replicas_AnswerInParallelAndOutliveTheDeathOfOne()
    {
        // 1. As many as there may be workers, and no more.
        var tooMany = await RunAsync("deploy", "base-q8", "--name", "many", "--replicas", "3");
        Assert.Equal(ExitCodes.Usage, tooMany.Code);
        Assert.Contains("replicas is 3, each in a worker of its own; workers:inference:max is 2", tooMany.Error, StringComparison.Ordinal);
        var deployed = await RunAsync("deploy", "base-q8", "--name", "many", "--replicas", "2", "--slots", "2", "--adapter", "tone=tone");
        Assert.Equal(ExitCodes.Done, deployed.Code);
        Assert.True(JsonSerializer.Deserialize(deployed.Out, WireJson.Default.Deployment) is { Replicas: 2, ReadyReplicas: 2, InMemory: true, State: "ready" });
        Assert.Contains("2 of 2", (await CliRun.Of(["deployments", "show", "many", "--home", server.Home], cancellationToken: Cancel)).Out, StringComparison.Ordinal);

        // 2. Two requests at once are answered by two processes.
        var processes = TestServer.Workers(server.Home, "inference").Order().ToList();
        Assert.Equal(2, processes.Count);
        using (var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancel))
        {
            var long1 = AnswerOnAsync("many", enough.Token);
            var long2 = AnswerOnAsync("many:tone", enough.Token);
            await Eventually.HoldsAsync(
                async () => (await server.Client.Workers.ListAsync(Cancel)).Where(worker => worker is { Role: "inference", Tasks: 1 })
                    .Select(worker => worker.ProcessId!.Value).Order().SequenceEqual(processes),
                Cancel);
            await Eventually.HoldsAsync(
                async () => (await server.MetricsAsync()).Where(sample => sample.Name == "modelops_inference_slots_active" && sample.Labels["model"] == "many" && sample.Value == 1)
                    .Select(sample => sample.Labels["worker"]).Order(StringComparer.Ordinal).SequenceEqual(["1", "2"]),
                Cancel);
            await enough.CancelAsync();
            await Task.WhenAll(long1, long2);
        }

        // 3. One dies under load: what begins after that is answered, and both are ready again.
        using var done = new CancellationTokenSource();
        var killed = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        var clients = Enumerable.Range(0, 4).Select(number => AskOnAsync(number % 2 == 0 ? "many" : "many:tone", killed.Task, done.Token)).ToList();
        await Eventually.HoldsAsync(async () => (await server.Client.Workers.ListAsync(Cancel)).Count(worker => worker is { Role: "inference", Tasks: > 0 }) == 2, Cancel);
        using (var victim = Process.GetProcessById(processes[0]))
        {
            victim.Kill();
            await victim.WaitForExitAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        }
        killed.SetResult(Stopwatch.GetTimestamp());
        await Eventually.HoldsAsync(async () => await GetAsync() is { State: "ready", ReadyReplicas: 1 }, Cancel);
        await Eventually.HoldsAsync(async () => await GetAsync() is { State: "ready", ReadyReplicas: 2, Error: null }, Cancel);
        var again = TestServer.Workers(server.Home, "inference");
        Assert.Equal(2, again.Count);
        Assert.DoesNotContain(processes[0], again);
        Assert.Contains(processes[1], again);

        // 4. Replaced under load, to one and back to two: not a request is lost.
        foreach (var replicas in new[] { 2, 1, 2 })
        {
            var replaced = await server.Client.Deployments.CreateAsync(
                new CreateDeployment { Name = "many", Artifact = "base-q8", Replicas = replicas, Slots = 2, Adapters = new Dictionary<string, string>(StringComparer.Ordinal) { ["tone"] = "tone" } }, Cancel);
            Assert.Equal(replicas, replaced.ReadyReplicas);
        }
        await server.Client.Deployments.AddAdapterAsync("many", "tone", "tone@1", Cancel);
        await done.CancelAsync();
        Assert.All(await Task.WhenAll(clients), answers => Assert.True(answers > 0));

        // 5. A stop leaves nothing behind, and after it all are back, or as many as may be.
        await server.Server.StopAsync();
        Assert.Empty(TestServer.Workers(server.Home));
        await server.RestartAsync("workers:inference:max=1");
        await Eventually.HoldsAsync(async () => await GetAsync() is { State: "ready", Replicas: 2, ReadyReplicas: 1 }, Cancel);
        Assert.Equal("of 2 replicas there may be 1: workers:inference:max is 1", (await GetAsync()).Error);
        Assert.NotEmpty(await server.AskAsync("many:tone"));
        Assert.Single(TestServer.Workers(server.Home, "inference"));
        await server.Client.Deployments.StopAsync("many", Cancel);
    }

    private Task<Deployment> GetAsync() => server.Client.Deployments.GetAsync("many", Cancel);

    private Task<CliRun> RunAsync(params string[] command) => CliRun.Of([.. command, "--json", "--home", server.Home], cancellationToken: Cancel);

    /// <summary>An answer until it is cancelled, or to the end of the context.</summary>
    private async Task AnswerOnAsync(string model, CancellationToken cancellationToken)
    {
        try
        {
            var request = new ChatRequest { Model = model, Messages = [new("user", "What does \"river\" mean?")], MaxTokens = 4000, Temperature = 1.8 };
            while (true) await server.Client.Chat.CompleteAsync(request, cancellationToken: cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // As asked.
        }
    }

    /// <summary>Asks again and again; a request may fail that was under way when the worker was killed, no other.</summary>
    /// <returns>How many were answered.</returns>
    private async Task<int> AskOnAsync(string model, Task<long> killed, CancellationToken done)
    {
        var answers = 0;
        while (!done.IsCancellationRequested)
        {
            var began = Stopwatch.GetTimestamp();
            try
            {
                Assert.NotEmpty(await server.AskAsync(model));
                answers++;
            }
            catch (ModelOpsException e)
            {
                var end = await killed.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
                Assert.True(began < end, $"a request that began {Stopwatch.GetElapsedTime(end, began).TotalMilliseconds} ms after the death failed: {e.Message}");
            }
        }
        return answers;
    }
}
