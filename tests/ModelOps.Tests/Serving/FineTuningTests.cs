using System.ClientModel;
using System.ClientModel.Primitives;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using OpenAI;
using OpenAI.Files;
using OpenAI.FineTuning;

#pragma warning disable OPENAI001 // the whole of fine-tuning is for evaluation in that package

namespace ModelOps.Tests.Serving;

/// <summary>OpenAI's fine-tuning API, driven by the packages that its users have: from files to a model that answers, and what is left of it when its worker is killed.</summary>
[Collection(nameof(ServingCollection))]
[EmbeddedOnly("what is stored is asked of the cluster's backends by FileApiTests; the jobs are those of other classes")]
public sealed class FineTuningTests(ServingFixture fixture)
{
    private const string Hyperparameters = """{"n_epochs":2,"batch_size":1,"learning_rate_multiplier":0.5}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private ModelOpsClient Client => fixture.Server.Client;

    [Fact]
    public async Task FromFilesToAnAnswer_ByOpenAIOfNpm_AndByNuGetWithAKilledWorker_MakesTheSame()
    {
        var (training, validation) = Files();
        var seen = await NpmAsync(training, validation);
        CheckJob(seen);
        CheckRest(seen);
        await CheckShapesAsync(seen);
        await CheckProofAsync(seen.Of("ended"));
        Assert.Equal(seen.Of("results").GetString(), await ByNuGetAsync(training, validation));
    }

    [Fact]
    public async Task ExampleOfTheDocumentation_Node_Answers()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "docs/training.md"), Cancel);
        var snippet = page[page.IndexOf("## Fine-tune with an OpenAI SDK", StringComparison.Ordinal)..].Split("```js\n")[1].Split("```")[0];
        var (training, _) = Files();
        var script = snippet.Replace("https://localhost:8000/v1", BaseUrl, StringComparison.Ordinal).Replace("my.jsonl", training, StringComparison.Ordinal);
        Assert.NotEqual(snippet, script);
        var output = await ProcessRun.ExpectSuccessAsync(
            "node", ["--input-type=module"], await ClientsAsync(), [("NODE_EXTRA_CA_CERTS", fixture.Server.CaCertificate), ("KEY", fixture.Server.ApiKey)], Cancel, input: script);
        Assert.Contains($"ft:base:{ServingFixture.Organization}:mine:", output, StringComparison.Ordinal);
        Assert.NotEmpty(output.TrimEnd().Split('\n')[^1]);
    }

    private static void CheckJob(JsonElement seen)
    {
        var (created, ended) = (seen.Of("created"), seen.Of("ended"));
        Assert.Contains(created.Text("status"), (string[])["queued", "validating_files"]);
        Assert.Equal("succeeded", ended.Text("status"));
        Assert.StartsWith($"ft:base:{ServingFixture.Organization}:words:", ended.Text("fine_tuned_model"), StringComparison.Ordinal);
        Assert.Equal((seen.Of("training").Text("id"), seen.Of("validation").Text("id")), (ended.Text("training_file"), ended.Text("validation_file")));
        Assert.Equal(7, ended.GetProperty("seed").GetInt32());
        Assert.Equal("""{"use":"journey","round":"1"}""", ended.GetProperty("metadata").GetRawText());
        Assert.Equal((2, 1, 0.5), (
            ended.GetProperty("hyperparameters").GetProperty("n_epochs").GetInt32(), ended.GetProperty("hyperparameters").GetProperty("batch_size").GetInt32(),
            ended.GetProperty("method").GetProperty("supervised").GetProperty("hyperparameters").GetProperty("learning_rate_multiplier").GetDouble()));
        Assert.True(ended.GetProperty("trained_tokens").GetInt64() > 500);
        var statuses = seen.Of("seen").EnumerateArray().Where(one => one.Text("schema") == "FineTuningJob" && one.GetProperty("document").Text("id") == ended.Text("id"))
            .Select(one => one.GetProperty("document").Text("status")).Distinct().ToList();
        Assert.Equal(["validating_files", "running", "succeeded"], statuses.Where(status => status != "queued"));

        var lines = seen.Of("results").GetString()!.TrimEnd().Split('\n').Select(line => line.Split(',')).ToList();
        Assert.Equal(["step", "train_loss", "valid_loss", "learning_rate", "grad_norm"], lines[0]);
        var steps = int.Parse(lines[^1][0], CultureInfo.InvariantCulture);
        Assert.Equal(Enumerable.Range(0, steps + 1).Select(step => $"{step}"), lines[1..].Select(line => line[0])); // step 0: measured before the first
        var losses = lines[1..].Where(line => line[2].Length > 0).Select(line => double.Parse(line[2], CultureInfo.InvariantCulture)).ToList();
        Assert.True(losses[^1] < losses[0], $"validation loss {losses[0]} -> {losses[^1]}");

        var highest = lines[1..].Where(line => line[3].Length > 0).Max(line => double.Parse(line[3], CultureInfo.InvariantCulture));
        Assert.Equal(0.00078125, highest, 1e-9); // half of what is chosen for the model

        var events = seen.Of("events").EnumerateArray().ToList();
        Assert.Equal(events.Count, events.DistinctBy(told => told.Text("id")).Count());
        Assert.Equal("The job has successfully completed", events[0].Text("message"));
        Assert.Equal($"Created fine-tuning job: {created.Text("id")}", events[^1].Text("message"));
        Assert.Contains(events, told => told.Text("type") == "metrics" && told.GetProperty("data").TryGetProperty("train_loss", out _));
        var checkpoint = Assert.Single(seen.Of("checkpoints").EnumerateArray());
        Assert.Equal((steps, ended.Text("fine_tuned_model")), (checkpoint.GetProperty("step_number").GetInt32(), checkpoint.Text("fine_tuned_model_checkpoint")));
        Assert.Equal(losses[^1], checkpoint.GetProperty("metrics").GetProperty("full_valid_loss").GetDouble());
    }

    private static void CheckRest(JsonElement seen)
    {
        var (ended, cancelled) = (seen.Of("ended"), seen.Of("cancelled"));
        Assert.Equal(("paused", "cancelled"), (seen.Of("paused").Text("status"), cancelled.Text("status")));
        Assert.NotEqual("paused", seen.Of("resumed").Text("status"));
        Assert.NotEmpty(seen.Of("heldCheckpoints").GetProperty("data").EnumerateArray());
        Assert.Equal(("BadRequestError", "BadRequestError"), (seen.Of("inUse").Text("name"), seen.Of("cancelledAgain").Text("name")));
        Assert.Contains(cancelled.Text("id"), seen.Of("inUse").Text("message"), StringComparison.Ordinal);
        Assert.True(seen.Of("listed").GetProperty("has_more").GetBoolean());
        Assert.Equal([ended.Text("id"), cancelled.Text("id")], seen.Of("everyJob").EnumerateArray().Select(id => id.GetString()).Take(2));
        Assert.Equal([cancelled.Text("id")], seen.Of("filtered").EnumerateArray().Select(id => id.GetString()));
        Assert.Equal((ended.Text("fine_tuned_model"), ServingFixture.Organization), (seen.Of("entry").Text("id"), seen.Of("entry").Text("owned_by")));
        Assert.NotEmpty(seen.Of("whole").GetString()!);
        Assert.Equal(seen.Of("whole").GetString(), seen.Of("streamed").GetString());
        string[] own = [ended.GetProperty("result_files")[0].GetString()!, seen.Of("batch").Text("id"), seen.Of("validation").Text("id"), seen.Of("training").Text("id")];
        Assert.Equal(own.OrderDescending(StringComparer.Ordinal), seen.Of("files").EnumerateArray().Select(id => id.GetString()).Intersect(own));
        Assert.Contains(seen.Of("batches").GetProperty("data").EnumerateArray(), file => file.Text("id") == seen.Of("batch").Text("id"));
        Assert.Equal(3600, seen.Of("validation").GetProperty("expires_at").GetInt64() - seen.Of("validation").GetProperty("created_at").GetInt64());
        Assert.Equal(("NotFoundError", "model_not_found", "NotFoundError"), (seen.Of("afterwards").Text("name"), seen.Of("afterwards").Text("code"), seen.Of("missing").Text("name")));
    }

    /// <summary>OpenAI's description knows no status "paused", which its own example of pausing answers: everything else of that answer is as described.</summary>
    private static async Task CheckShapesAsync(JsonElement seen)
    {
        var description = SchemaTests.SharedData("openai/openapi.json");
        Assert.Empty(await SchemaTests.ErrorsAsync(description, (JsonArray)JsonNode.Parse(seen.Of("seen").GetRawText())!));
        var errors = await SchemaTests.ErrorsAsync(
            description, [new JsonObject { ["schema"] = "FineTuningJob", ["document"] = JsonNode.Parse(seen.Of("paused").GetRawText()) }]);
        Assert.Equal("document 0, FineTuningJob: /status must be equal to one of the allowed values", Assert.Single(errors));
    }

    /// <summary>The same job by the platform's own API, and what it registered.</summary>
    private async Task CheckProofAsync(JsonElement ended)
    {
        var job = await Client.Jobs.GetAsync($"job-{ended.Text("id")["ftjob-".Length..]}", Cancel);
        Assert.Equal(("fine_tuning", JobState.Succeeded), (job.Kind, job.State));
        var result = job.Result!.Value.Deserialize(WireJson.Default.FineTuningResult)!;
        Assert.Equal(["served", "adapter", "dataset", "validation"], result.Artifacts.Select(made => made.Role));
        Assert.Equal(result.Artifacts.Select(made => made.Artifact), job.Artifacts);
        var adapter = await Client.Artifacts.GetAsync(result.Artifacts[1].Artifact, Cancel);
        Assert.Equal(["base", "dataset", "validation"], adapter.Parents.Select(parent => parent.Role).Order(StringComparer.Ordinal));
        Assert.True((await Client.Artifacts.VerifyAsync(result.Artifacts[0].Artifact, Cancel)).Verified);
        var audit = await Client.Audit.ListAsync(new AuditFilter { Subject = ended.Text("fine_tuned_model") }, Cancel).Select(row => row.Action).ToListAsync(Cancel);
        Assert.Equal(["deployment.created", "deployment.deleted"], audit.Order(StringComparer.Ordinal));
    }

    /// <summary>The same training, whose worker is killed in the middle.</summary>
    /// <returns>The file of its results.</returns>
    private async Task<string> ByNuGetAsync(string training, string validation)
    {
        using var http = new HttpClient(ServingFixture.Handler(fixture.Server));
        var client = new OpenAIClient(
            new ApiKeyCredential(fixture.Server.ApiKey), new OpenAIClientOptions { Endpoint = new Uri(fixture.Server.Client.Server, "v1"), Transport = new HttpClientPipelineTransport(http) });
        var (files, tuning) = (client.GetOpenAIFileClient(), client.GetFineTuningClient());
        OpenAIFile rows = await files.UploadFileAsync(training, FileUploadPurpose.FineTune);
        OpenAIFile heldOut = await files.UploadFileAsync(validation, FileUploadPurpose.FineTune);
        var body = $$"""{"model":"base","training_file":"{{rows.Id}}","validation_file":"{{heldOut.Id}}","seed":7,"hyperparameters":{{Hyperparameters}}}""";
        using var content = BinaryContent.Create(BinaryData.FromString(body));
        var job = await tuning.FineTuneAsync(content, waitUntilCompleted: false, options: null);
        await KillInTrainingAsync($"job-{job.JobId["ftjob-".Length..]}");
        await Client.Jobs.WatchAsync($"job-{job.JobId["ftjob-".Length..]}", cancellationToken: Cancel).LastAsync(Cancel);
        await job.UpdateStatusAsync(Cancel);
        Assert.Equal(FineTuningStatus.Succeeded, job.Status);
        Assert.Contains(await job.GetEventsAsync(new GetEventsOptions(), Cancel).ToListAsync(Cancel), told => told.Message.Contains("while it ran this", StringComparison.Ordinal));
        var model = (await job.GetCheckpointsAsync(new GetCheckpointsOptions(), Cancel).FirstAsync(Cancel)).ModelId; // as in the documentation
        Assert.Contains(await tuning.GetJobsAsync(cancellationToken: Cancel).ToListAsync(Cancel), listed => listed.JobId == job.JobId);
        var answer = await client.GetChatClient(model).CompleteChatAsync("What does \"river\" mean?");
        Assert.NotEmpty(answer.Value.Content[0].Text);
        var results = await files.DownloadFileAsync(job.ResultFileIds[0], Cancel);
        Assert.True((await client.GetOpenAIModelClient().DeleteModelAsync(model, Cancel)).Value.Deleted);
        foreach (var file in new[] { rows, heldOut }) Assert.True((await files.DeleteFileAsync(file.Id, Cancel)).Value.Deleted);
        return results.Value.ToString();
    }

    private async Task KillInTrainingAsync(string job)
    {
        await Client.Jobs.WatchAsync(job, cancellationToken: Cancel).FirstAsync(next => next.Progress is { Stage: "train", Step: >= 2 } || next.State.IsFinal, Cancel);
        using var worker = Process.GetProcessById(TestServer.Workers(fixture.Server.Home, "training").Single());
        worker.Kill();
    }

    private async Task<JsonElement> NpmAsync(string training, string validation)
    {
        var output = await ProcessRun.ExpectSuccessAsync(
            "node", ["finetune.mjs", BaseUrl, fixture.Server.ApiKey, "base", training, validation], await ClientsAsync(), [("NODE_EXTRA_CA_CERTS", fixture.Server.CaCertificate)], Cancel);
        return JsonElement.Parse(output);
    }

    private static async Task<string> ClientsAsync()
    {
        var folder = Path.Combine(RepositoryRoot.Path, "tests/clients");
        await NodePackages.RestoreAsync(folder, "openai", Cancel);
        return folder;
    }

    private string BaseUrl => new Uri(fixture.Server.Client.Server, "v1").AbsoluteUri;

    private (string Training, string Validation) Files()
    {
        var rows = File.ReadLines(Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl")).Take(90).ToList();
        var (training, validation) = (Path.Combine(fixture.Server.Home, "training.jsonl"), Path.Combine(fixture.Server.Home, "validation.jsonl"));
        File.WriteAllLines(training, rows[..80]);
        File.WriteAllLines(validation, rows[80..]);
        return (training, validation);
    }
}

file static class Seen
{
    public static JsonElement Of(this JsonElement seen, string name) => seen.GetProperty(name);
}
