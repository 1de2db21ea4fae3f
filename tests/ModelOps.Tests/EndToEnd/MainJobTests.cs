using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>The main job on a real server and real worker processes: rows → adapter → quantized model → answers → survival.</summary>
public sealed class MainJobTests : IAsyncLifetime
{
    private static readonly TimeSpan jobPatience = TimeSpan.FromMinutes(4);
    private readonly string home = TestServer.NewHome();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(home, recursive: true);
        return ValueTask.CompletedTask;
    }

    [ClusterOnly("SurvivalTests, QuickstartJobTests and DocumentedCommandsTests do it")]
    [Fact]
    public async Task MainJob_OnBundledSample_ServesAVerifiedFineTunedModel()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using (var server = await TestServer.StartAsync(home, cancel))
        {
            var client = server.Client;

            // 1. The bundled base, as a signed artifact.
            var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), cancel);
            var model = await client.Artifacts.PushAsync("wordsmith", "model", files, progress: null, cancel);
            Assert.Equal("1", model.Version);

            // 2. Real rows, counted in the Delta tables.
            var ingestion = await RunAsync<IngestionResult>(
                client,
                await client.Datasets.CreateVersionAsync("words", Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl"), new IngestionOptions { MaxBad = "0" }, progress: null, cancel),
                WireJson.Default.IngestionResult);
            Assert.Equal(0, ingestion.Report.Rows.Quarantined);
            Assert.True(ingestion.Report.Splits["train"] > 100, $"train has {ingestion.Report.Splits["train"]} rows");
            Assert.True(ingestion.Report.Splits["validation"] > 0);

            // 3. LoRA, with live steps and losses.
            var losses = new List<double>();
            var training = await RunAsync<TrainingResult>(
                client,
                await client.Jobs.StartTrainingAsync(
                    new CreateTraining { Base = "wordsmith", Dataset = "words", Name = "words-lora", MaxSteps = 40, Seed = 7 }, cancel),
                WireJson.Default.TrainingResult,
                progress =>
                {
                    if (progress.Metrics.TryGetValue("loss", out var loss)) losses.Add(loss);
                });
            Assert.Equal(40, training.Steps);
            Assert.NotEmpty(losses);
            Assert.All(losses, loss => Assert.True(double.IsFinite(loss)));
            Assert.True(training.LossAfter < training.LossBefore, $"{training.LossBefore} → {training.LossAfter}");

            // 4. Merge → GGUF → Q8_0, compared with the trainer.
            var quantization = await RunAsync<QuantizationResult>(
                client,
                await client.Jobs.StartQuantizationAsync(
                    new CreateQuantization { Artifact = "words-lora", Name = "words-q8" }, cancel),
                WireJson.Default.QuantizationResult);
            Assert.InRange(quantization.Parity!.MaxLogitDifference, 0, quantization.Parity.Tolerance);
            Assert.Equal(1, quantization.Parity.TokenAgreement, 0.01);
            var made = Assert.Single(quantization.Artifacts);
            Assert.InRange(made.BitsPerWeight, 8, 10);
            Assert.InRange(made.Quality!.Perplexity / made.Quality.SourcePerplexity, 0.98, 1.02);
            Assert.True(made.Quality.TopOneAgreement > 0.9, $"{made.Quality.TopOneAgreement}");
            Assert.True(made.Speed!.DecodeTokensPerSecond > 0);

            // 5. The chain verifies up to the roots.
            var verification = await client.Artifacts.VerifyAsync("words-q8", cancel);
            Assert.True(verification.Verified, JsonSerializer.Serialize(verification, WireJson.Default.Verification));
            var lineage = await client.Artifacts.GetLineageAsync("words-q8", cancellationToken: cancel);
            Assert.Equal(
                ["wordsmith@1 base words-lora@1", "words@1 dataset words-lora@1", "words-lora@1 source words-q8@1"],
                lineage.Edges.Where(edge => edge.Role != "made").Select(edge => $"{edge.From} {edge.Role} {edge.To}"));
            Assert.Equal(3, lineage.Edges.Count(edge => edge.Role == "made")); // ingestion, training, quantization

            // 6. Deployed, and driven by a client that others wrote.
            var deployment = await client.Deployments.CreateAsync(new CreateDeployment { Name = "words", Artifact = "words-q8", Slots = 4 }, cancel);
            Assert.Equal("ready", deployment.State);
            Assert.Equal(4, deployment.Slots);
            await DriveWithOpenAIPackageAsync(server, cancel);

            // 7. Pull the plug: the workers go with the server.
            await server.KillAsync();
            await Eventually.HoldsAsync(() => TestServer.Workers(home).Count == 0, cancel);
        }

        // 8. What was acknowledged is still there, and the deployment serves again by itself.
        await using var again = await TestServer.StartAsync(home, cancel);
        await Eventually.HoldsAsync(async () => (await again.Client.GetReadinessAsync(cancel)).Status == "ready", cancel);
        Assert.Equal("ready", (await again.Client.Deployments.GetAsync("words", cancel)).State);
        var answer = await again.Client.Chat.CompleteAsync(new ChatRequest { Model = "words", Messages = [new("user", "hello")], MaxTokens = 4 }, cancellationToken: cancel);
        Assert.True(answer.Usage!.CompletionTokens > 0);

        // 9. A flipped byte is found and refused by name.
        var gguf = Assert.Single((await again.Client.Artifacts.GetAsync("words-q8", cancel)).Files, file => file.Path.EndsWith(".gguf", StringComparison.Ordinal));
        await StoredBytes.FlipAsync(home, gguf.Sha256, cancel);
        var tampered = await again.Client.Artifacts.VerifyAsync("words-q8", cancel);
        Assert.False(tampered.Verified);
        Assert.Contains(tampered.Checks, check => !check.Passed && $"{check.Check} {check.Detail}".Contains(gguf.Path, StringComparison.Ordinal));
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() =>
            again.Client.Deployments.CreateAsync(new CreateDeployment { Name = "tampered", Artifact = "words-q8" }, cancel));
        Assert.Equal(ProblemTypes.VerificationFailed, refused.Problem.Type);
        Assert.Contains(gguf.Path, refused.Problem.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ingestion_OfABrokenFile_SaysWhereAndLeavesNothing()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var server = await TestServer.StartAsync(home, cancel);
        foreach (var (content, hint) in new[] { ("{\"messages\": [\n", "line 1"), ("", "empty"), ("{\"foo\": 1}\n", "foo") })
        {
            var path = Path.Combine(home, "broken.jsonl");
            await File.WriteAllTextAsync(path, content, cancel);
            var job = await server.Client.Datasets.CreateVersionAsync("broken", path, new IngestionOptions { MaxBad = "0" }, progress: null, cancel);
            var ended = await EndAsync(server.Client, job, _ => { });
            Assert.Equal(JobState.Failed, ended.State);
            Assert.Equal("invalid_rows", ended.Error!.Type);
            Assert.Contains(hint, ended.Error.Message, StringComparison.OrdinalIgnoreCase);
            Assert.Empty(await server.Client.Datasets.ListAsync(cancel));
            Assert.Empty(await server.Client.Artifacts.ListAsync(kind: null, cancel));
        }
    }

    [Fact]
    public async Task Server_AskedToStop_StopsWithinFiveSeconds()
    {
        var server = await TestServer.StartAsync(home, TestContext.Current.CancellationToken);
        await using (server) Assert.InRange((await server.StopAsync()).TotalSeconds, 0, 5);
        Assert.Empty(TestServer.Workers(home));
    }

    private static async Task DriveWithOpenAIPackageAsync(TestServer server, CancellationToken cancel)
    {
        var clients = Path.Combine(RepositoryRoot.Path, "tests/clients");
        if (!Directory.Exists(Path.Combine(clients, "node_modules/openai")))
            await ProcessRun.ExpectSuccessAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], clients, [], cancel);
        var output = await ProcessRun.ExpectSuccessAsync(
            "node",
            ["chat.mjs", $"{server.Client.Server.AbsoluteUri.TrimEnd('/')}/v1", server.ApiKey, "words", "What does \"river\" mean?"],
            clients,
            [("NODE_EXTRA_CA_CERTS", server.CaCertificate)],
            cancel);
        using var document = JsonDocument.Parse(output);
        var seen = document.RootElement;
        Assert.Equal(["words"], seen.GetProperty("models").EnumerateArray().Select(model => model.GetString()));
        var whole = seen.GetProperty("whole");
        var text = whole.GetProperty("text").GetString()!;
        Assert.NotEmpty(text);
        Assert.Contains(whole.GetProperty("finish").GetString(), new[] { "stop", "length" });
        var usage = whole.GetProperty("usage");
        Assert.Equal(
            usage.GetProperty("total_tokens").GetInt32(),
            usage.GetProperty("prompt_tokens").GetInt32() + usage.GetProperty("completion_tokens").GetInt32());
        var streamed = seen.GetProperty("streamed");
        Assert.Equal(text, streamed.GetProperty("text").GetString());
        Assert.True(streamed.GetProperty("chunks").GetInt32() > 3);
        foreach (var count in (string[])["prompt_tokens", "completion_tokens", "total_tokens"]) // the cache has the prompt the second time
            Assert.Equal(usage.GetProperty(count).GetInt32(), streamed.GetProperty("usage").GetProperty(count).GetInt32());
        Assert.All(seen.GetProperty("parallel").EnumerateArray(), answer => Assert.StartsWith(answer.GetString()!, text, StringComparison.Ordinal));
        Assert.Equal(404, seen.GetProperty("unknownModel").GetProperty("status").GetInt32());
        Assert.Equal("NotFoundError", seen.GetProperty("unknownModel").GetProperty("name").GetString());
        Assert.Contains("temperature", seen.GetProperty("badRequest").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    private static async Task<T> RunAsync<T>(
        ModelOpsClient client, Job job, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> result, Action<JobProgress>? progress = null)
    {
        var ended = await EndAsync(client, job, progress ?? (_ => { }));
        Assert.True(ended.State == JobState.Succeeded, $"{job.Kind}: {ended.State} {ended.Error}");
        return ended.Result!.Value.Deserialize(result)!;
    }

    private static async Task<Job> EndAsync(ModelOpsClient client, Job job, Action<JobProgress> progress)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(jobPatience);
        await foreach (var next in client.Jobs.WatchAsync(job.Id, cancellationToken: patience.Token))
            if (next.Progress is { } value) progress(value);
        return await client.Jobs.GetAsync(job.Id, patience.Token);
    }
}
