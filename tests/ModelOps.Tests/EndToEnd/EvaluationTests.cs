using System.Security.Cryptography;
using System.Text.Json;
using Apache.Arrow;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Tables.Delta;
using ModelOps.Tests.Cli;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>An adapter and its base, side by side, on a real server with a real worker; and a gate that reads what was measured.</summary>
public sealed class EvaluationTests : IDisposable
{
    private static readonly TimeSpan jobPatience = TimeSpan.FromMinutes(4);
    private readonly string home = TestServer.NewHome();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(home, recursive: true);

    [EmbeddedOnly("a job like those of MainJobTests")]
    [Fact]
    public async Task Evaluate_AnAdapter_IsMeasuredBesideItsBase_SignedAndNamedByGates()
    {
        await using var server = await TestServer.StartAsync(
            home, Cancel, "lifecycle:staging:metrics:eval.loss:max=0.001", "lifecycle:production:metrics:eval.words.loss.difference:max=0");
        var client = server.Client;
        await PrepareAsync(client);

        // 1. Measured: both models on the same rows, a difference with its interval.
        var evaluation = await RunAsync(client, new() { Artifact = "words-lora", Dataset = "words", Split = "validation", Rows = 12, MaxTokens = 12, Seed = 3 });
        Assert.Equal(("words-lora@1", "wordsmith@1", "words@1", 12), (evaluation.Candidate, evaluation.Base, evaluation.Dataset, evaluation.Rows));
        Assert.Equal(["loss", "perplexity", "exact_match", "rouge_l"], evaluation.Metrics.Select(metric => metric.Name));
        var loss = evaluation.Metrics[0];
        Assert.True(loss.Candidate.Value < loss.Base!.Value, $"{loss.Base.Value} → {loss.Candidate.Value}");
        Assert.InRange(loss.Candidate.Value, loss.Candidate.Low, loss.Candidate.High);
        Assert.Equal(loss.Candidate.Value - loss.Base.Value, loss.Difference!.Value, 1e-9);
        Assert.True(loss.Difference.High < 0, "training lowers the loss of every resample");

        // 2. Signed: an artifact of its own, which names what was measured, and verifies.
        var artifact = await client.Artifacts.GetAsync(evaluation.Artifact, Cancel);
        Assert.Equal(("evaluation", "words-lora-eval@1"), (artifact.Kind, evaluation.Artifact));
        Assert.Equal(loss.Candidate.Value, artifact.Metrics["loss"]);
        Assert.Equal(loss.Difference.Low, artifact.Metrics["loss.difference.low"]);
        Assert.True((await client.Artifacts.VerifyAsync(evaluation.Artifact, Cancel)).Verified);
        var lineage = await client.Artifacts.GetLineageAsync(evaluation.Artifact, cancellationToken: Cancel);
        Assert.Contains(lineage.Edges, edge => (edge.From, edge.Role, edge.To) == ("words-lora@1", "candidate", "words-lora-eval@1"));

        // 3. Row by row: a Delta table from which the report follows.
        var (answers, losses) = await RowsAsync(evaluation.Table);
        Assert.Equal(12, answers.Count);
        Assert.All(answers, answer => Assert.NotNull(answer));
        Assert.InRange(loss.Candidate.Value, losses.Min(), losses.Max());

        // 4. A gate reads the newest evaluation.
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => client.Artifacts.PromoteAsync("words-lora@1", "STAGING", Cancel));
        Assert.Contains(refused.Problem.Errors, error => error.StartsWith("metric eval.loss:", StringComparison.Ordinal) && error.Contains("above 0.001", StringComparison.Ordinal));

        // 5. The command line does the same, and says it for people.
        string[] command = ["eval", "words-lora", "--dataset", "words", "--split", "validation", "--metrics", "loss", "exact_match", "--rows", "4", "--max-tokens", "8", "--watch"];
        var shown = await CliRun.Of([.. command, "--home", home], cancellationToken: Cancel);
        Assert.True(shown.Code == ExitCodes.Done, $"{shown.Out}{shown.Error}");
        Assert.Contains("words-lora-eval@2: words-lora@1 against wordsmith@1 on 4 rows of words@1/validation", shown.Out, StringComparison.Ordinal);
        Assert.Matches(@"loss: \d\.\d{4} \[\d\.\d{4}, \d\.\d{4}\]; base \d", shown.Out);
        Assert.Matches("Rows: evaluations/", shown.Out);
    }

    [Fact]
    [EmbeddedOnly("what is refused is the same wherever the rows lie")]
    public async Task Evaluate_WhatCannotBeMeasured_SaysWhy()
    {
        await using var server = await TestServer.StartAsync(home, Cancel);
        await PushAsync(server.Client);
        CreateEvaluation create = new() { Artifact = "wordsmith", Dataset = "words", Metrics = ["bleu", "F 1"] };

        // 1. Names that no worker can know, before a job exists.
        var refused = await Assert.ThrowsAsync<ModelOpsException>(() => server.Client.Jobs.StartEvaluationAsync(create, Cancel));
        Assert.Contains("there is no metric 'bleu'; there are choice_accuracy, choice_accuracy_norm, exact_match", string.Join('\n', refused.Problem.Errors), StringComparison.Ordinal);
        Assert.Contains("metric 'F 1' is not written as NAME", string.Join('\n', refused.Problem.Errors), StringComparison.Ordinal);
        refused = await Assert.ThrowsAsync<ModelOpsException>(() => server.Client.Jobs.StartTrainingAsync(
            new() { Base = "wordsmith", Dataset = "words", Name = "never", Recipe = JsonElement.Parse("""{"loss": "focal", "schedule": "cosin"}""") }, Cancel));
        Assert.Contains("there is no loss 'focal'; there are cross_entropy", string.Join('\n', refused.Problem.Errors), StringComparison.Ordinal);
        Assert.Contains("there is no schedule 'cosin'; there are constant, cosine, linear, wsd", string.Join('\n', refused.Problem.Errors), StringComparison.Ordinal);
        Assert.DoesNotContain(await server.Client.Jobs.ListAsync(cancellationToken: Cancel).ToListAsync(Cancel), job => job.Kind is "evaluation" or "sft");

        // 2. What the rows do not have, in the job.
        var ended = await EndAsync(server.Client, await server.Client.Jobs.StartEvaluationAsync(create with { Metrics = ["choice_accuracy"] }, Cancel));
        Assert.Equal((JobState.Failed, "invalid_input"), (ended.State, ended.Error!.Type));
        Assert.Contains("none of the rows is multiple choice", ended.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    [EmbeddedOnly("plugins are files of the worker's machine")]
    public async Task Evaluate_MetricOfAPlugin_OnlyWhereItsDigestIsAllowed()
    {
        const string Plugin = "ExamplePlugin";
        var file = Path.Combine(Directory.CreateDirectory(Path.Combine(home, "plugins", Plugin)).FullName, $"{Plugin}.dll");
        File.Copy(Path.Combine(RepositoryRoot.Path, "artifacts", "bin", Plugin, "release", $"{Plugin}.dll"), file);
        var digest = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(file, Cancel)));
        CreateEvaluation create = new() { Artifact = "wordsmith", Dataset = "words", Split = "validation", Metrics = ["word_f1"], Rows = 2, MaxTokens = 8 };
        await using (var server = await TestServer.StartAsync(home, Cancel))
        {
            await PushAsync(server.Client);
            var refused = await EndAsync(server.Client, await server.Client.Jobs.StartEvaluationAsync(create, Cancel));
            Assert.Equal((JobState.Failed, "invalid_input"), (refused.State, refused.Error!.Type));
            Assert.Contains($"set plugins:allowed:{Plugin} to {digest}", refused.Error.Message, StringComparison.Ordinal);
        }
        await using (var server = await TestServer.StartAsync(home, Cancel, $"plugins:allowed:{Plugin}={digest}"))
        {
            var evaluation = await RunAsync(server.Client, create);
            Assert.Equal("word_f1", Assert.Single(evaluation.Metrics).Name);
            var report = Assert.Single((await server.Client.Artifacts.GetAsync(evaluation.Artifact, Cancel)).Files);
            using var stores = await Backends.OpenStoresAsync(home);
            await using var content = await new BlobStore(stores.Objects).OpenAsync(report.Sha256, Cancel);
            using var document = await JsonDocument.ParseAsync(content!, default, Cancel);
            Assert.Equal(digest, document.RootElement.GetProperty("settings").GetProperty("metrics")[0].GetProperty("plugin").GetProperty("sha256").GetString());
        }
    }

    private static async Task PrepareAsync(ModelOpsClient client)
    {
        await PushAsync(client);
        var training = await client.Jobs.StartTrainingAsync(new CreateTraining { Base = "wordsmith", Dataset = "words", Name = "words-lora", MaxSteps = 20, Seed = 7 }, Cancel);
        Assert.Equal(JobState.Succeeded, (await EndAsync(client, training)).State);
    }

    private static async Task PushAsync(ModelOpsClient client)
    {
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await client.Artifacts.PushAsync("wordsmith", "model", files, progress: null, Cancel);
        var ingestion = await client.Datasets.CreateVersionAsync(
            "words", Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl"), new IngestionOptions(), progress: null, Cancel);
        Assert.Equal(JobState.Succeeded, (await EndAsync(client, ingestion)).State);
    }

    /// <param name="table">path@version</param>
    private async Task<(List<string?> Answers, List<double> Losses)> RowsAsync(string table)
    {
        using var stores = await Backends.OpenStoresAsync(home);
        var (path, version) = table.Split('@') is [var p, var v] ? (p, long.Parse(v)) : throw new InvalidOperationException(table);
        var delta = await DeltaTable.OpenAsync(stores.Tables, path, cancellationToken: Cancel);
        var (answers, losses) = (new List<string?>(), new List<double>());
        await foreach (var batch in delta!.ReadAsync(await delta.SnapshotAsync(version, Cancel), Cancel))
            using (batch)
                for (var row = 0; row < batch.Length; row++)
                {
                    answers.Add(((StringArray)batch.Column("answer")).GetString(row));
                    losses.Add(((DoubleArray)batch.Column("loss")).GetValue(row)!.Value);
                    Assert.False(batch.Column("base_loss").IsNull(row));
                }
        return (answers, losses);
    }

    private static async Task<EvaluationResult> RunAsync(ModelOpsClient client, CreateEvaluation create)
    {
        var ended = await EndAsync(client, await client.Jobs.StartEvaluationAsync(create, Cancel));
        Assert.True(ended.State == JobState.Succeeded, $"{ended.State} {ended.Error}");
        return ended.Result!.Value.Deserialize(WireJson.Default.EvaluationResult)!;
    }

    private static async Task<Job> EndAsync(ModelOpsClient client, Job job)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(jobPatience);
        await foreach (var _ in client.Jobs.WatchAsync(job.Id, cancellationToken: patience.Token))
        {
            // to its end
        }
        return await client.Jobs.GetAsync(job.Id, patience.Token);
    }
}
