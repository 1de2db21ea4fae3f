using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Serving;

/// <summary>The files of OpenAI's API, and everything that they and fine-tuning refuse: in OpenAI's words, all at once, and without leaving anything.</summary>
[Collection(nameof(ServingCollection))]
public sealed class FileApiTests(ServingFixture fixture)
{
    private const string GoodRow = """{"messages":[{"role":"user","content":"What is blue?"},{"role":"assistant","content":"a colour"}]}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string, string, string[]> Refused => new()
    {
        {
            "fine-tune", GoodRow + "\n{\"messages\":[{\"role\":\"user\"}]}\n\n{broken\n" + GoodRow.Replace("assistant", "robot", StringComparison.Ordinal),
            ["line 2: ", "line 4: not valid JSON", "line 5: "]
        },
        { "fine-tune", """{"chosen":"a","rejected":"b","prompt":"c"}""", ["shape preference", "supervised fine-tuning needs conversations"] },
        { "fine-tune", "", ["is empty"] },
        { "fine-tune", "\u001f\u008b", ["JSON"] },
        { "assistants", GoodRow, ["purpose must be fine-tune or batch, not 'assistants'"] },
        {
            "batch",
            """
            {"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}
            {"custom_id":"a","method":"GET","url":"/v1/images","body":[]}
            7
            """,
            ["line 2: custom_id 'a' is that of line 1; method must be POST; url must be one of", "body must be an object", "line 3: must be an object"]
        },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Upload_OfWhatCannotBeUsed_IsRefusedWithEveryLine(string purpose, string content, string[] expected)
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, body) = await UploadAsync(http, purpose, content);
        Assert.Equal(400, status);
        Assert.Equal("invalid_request_error", body.Text("error", "type"));
        Assert.All(expected, text => Assert.Contains(text, body.Text("error", "message"), StringComparison.Ordinal));
        Assert.Empty(await SchemaErrorsAsync("ErrorResponse", body));
    }

    [Fact]
    public async Task Upload_TooLongOrBrokenOffOrNoForm_IsRefusedAndLeavesNothing()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, body) = await UploadAsync(http, "fine-tune", new string('x', ServingFixture.MaxFileBytes + 1));
        Assert.Equal(413, status);
        Assert.Contains($"files:max_bytes allows, {ServingFixture.MaxFileBytes} bytes", body.Text("error", "message"), StringComparison.Ordinal);

        Assert.Equal(415, (await http.PostAsync("/v1/files", "{}", Cancel)).Status);
        using (var cut = new StringContent("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.jsonl\"\r\n\r\n" + GoodRow))
        {
            cut.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=b");
            using var answer = await http.PostAsync(new Uri("/v1/files", UriKind.Relative), cut, Cancel);
            Assert.Equal(400, (int)answer.StatusCode);
        }

        using var hangUp = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var stalled = new StalledContent(hangUp);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => http.PostAsync(new Uri("/v1/files", UriKind.Relative), stalled, hangUp.Token));
        using var stores = await Backends.OpenStoresAsync(fixture.Server.Home);
        await Eventually.HoldsAsync(async () => !await stores.Objects.ListAsync("artifacts/uploads/", cancellationToken: Cancel).AnyAsync(Cancel), Cancel);
        Assert.DoesNotContain(await FilesAsync(http), file => file.Text("filename") == StalledContent.FileName);
    }

    [Fact]
    public async Task Files_AreTheirOwners_PagedAndDeleted()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        await fixture.Server.Client.Users.CreateAsync(new CreateUser { Name = "tuner", Role = "engineer", Password = "correct horse battery" }, Cancel);
        using var tuner = ServingFixture.Connect(fixture.Server, withKey: false);
        tuner.DefaultRequestHeaders.Authorization = new("Bearer", (await fixture.Server.Client.Keys.CreateAsync(new CreateApiKey { Name = "test", User = "tuner" }, Cancel)).Secret);
        var ids = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            var (status, uploaded) = await UploadAsync(tuner, "fine-tune", GoodRow, ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600"));
            Assert.True(status == 200, $"{uploaded}");
            Assert.Empty(await SchemaErrorsAsync("OpenAIFile", uploaded));
            ids.Add(uploaded.Text("id"));
        }

        var page = await GetAsync(tuner, "/v1/files?limit=2&purpose=fine-tune", 200);
        Assert.Equal([ids[2], ids[1]], page.GetProperty("data").EnumerateArray().Select(file => file.Text("id")));
        Assert.Equal((true, ids[2], ids[1]), (page.GetProperty("has_more").GetBoolean(), page.Text("first_id"), page.Text("last_id")));
        var rest = await GetAsync(tuner, $"/v1/files?limit=2&after={ids[1]}", 200);
        Assert.Equal((ids[0], false), (rest.GetProperty("data")[0].Text("id"), rest.GetProperty("has_more").GetBoolean()));
        Assert.Equal(ids, (await GetAsync(tuner, "/v1/files?order=asc", 200)).GetProperty("data").EnumerateArray().Select(file => file.Text("id")));
        var none = await GetAsync(tuner, "/v1/files?purpose=batch", 200);
        Assert.Empty(await SchemaErrorsAsync("ListFilesResponse", none));
        Assert.Contains("limit must be from 1", (await GetAsync(tuner, "/v1/files?limit=0&order=up", 400)).Text("error", "message"), StringComparison.Ordinal);
        Assert.Equal(GoodRow, await tuner.GetStringAsync(new Uri($"/v1/files/{ids[0]}/content", UriKind.Relative), Cancel));
        Assert.Equal(ids[0], (await GetAsync(http, $"/v1/files/{ids[0]}", 200)).Text("id")); // an administrator's

        var (_, mine) = await UploadAsync(http, "fine-tune", GoodRow);
        var id = mine.Text("id");
        foreach (var path in (string[])[$"/v1/files/{id}", $"/v1/files/{id}/content"])
            Assert.Contains($"no file {id} of yours", (await GetAsync(tuner, path, 404)).Text("error", "message"), StringComparison.Ordinal);
        var (refused, why) = await tuner.PostAsync("/v1/fine_tuning/jobs", $$"""{"model":"base","training_file":"{{id}}"}""", Cancel);
        Assert.Equal((400, "training_file"), (refused, why.Text("error", "param")));

        using var delete = await tuner.DeleteAsync(new Uri($"/v1/files/{id}", UriKind.Relative), Cancel);
        Assert.Equal(404, (int)delete.StatusCode);
        using var deleted = await tuner.DeleteAsync(new Uri($"/v1/files/{ids[0]}", UriKind.Relative), Cancel);
        Assert.Equal(200, (int)deleted.StatusCode);
        await GetAsync(tuner, $"/v1/files/{ids[0]}", 404);
        var audit = await fixture.Server.Client.Audit.ListAsync(new AuditFilter { Actor = "tuner", Subject = ids[0] }, Cancel).Select(row => row.Action).ToListAsync(Cancel);
        Assert.Equal(["file.deleted", "file.uploaded"], audit.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task FineTuning_OfWhatIsWrong_IsRefusedAllAtOnce()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (_, batch) = await UploadAsync(http, "batch", """{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}""");
        async Task<string> RefusalAsync(string json)
        {
            var (status, body) = await http.PostAsync("/v1/fine_tuning/jobs", json, Cancel);
            Assert.Equal(400, status);
            return body.Text("error", "message");
        }

        var all = await RefusalAsync(
            $$$"""
            {"model":"nobody","training_file":"file-none","validation_file":"{{{batch.Text("id")}}}","suffix":"a b","seed":-1,"temperature":1,"metadata":{"{{{new string('k', 65)}}}":"v"},
             "integrations":[{"type":"wandb","wandb":{"project":"p"}}],
             "method":{"type":"supervised","supervised":{"hyperparameters":{"n_epochs":51,"batch_size":"many","learning_rate_multiplier":0,"beta":1} } } }
            """);
        foreach (var text in (string[])
        [
            "model nobody is not there", "training_file file-none is no file of yours", "has the purpose batch; needed is fine-tune", "suffix must be", "seed must be", "temperature is not offered",
            "metadata.kk", "integrations wandb is not offered", "n_epochs must be auto or a whole number from 1 to 50, not 51", "batch_size must be auto", "learning_rate_multiplier must be",
            "method.supervised.hyperparameters.beta is not offered",
        ])
            Assert.Contains(text, all, StringComparison.Ordinal);
        foreach (var method in (string[])["dpo", "reinforcement"])
            Assert.Contains($"{method} is not offered yet", await RefusalAsync($$$"""{"model":"base","training_file":"x","method":{"type":"{{{method}}}","{{{method}}}":{} } }"""), StringComparison.Ordinal);
        Assert.Contains("words-q8 is a gguf", await RefusalAsync("""{"model":"words-q8","training_file":"x"}"""), StringComparison.Ordinal);
        Assert.Contains("fine-tune base with the rows of both", await RefusalAsync("""{"model":"ft:base:acme::0123456789ab","training_file":"x"}"""), StringComparison.Ordinal);

        foreach (var path in (string[])["", "/events", "/checkpoints"]) await GetAsync(http, $"/v1/fine_tuning/jobs/ftjob-none{path}", 404);
        await GetAsync(http, "/v1/fine_tuning/jobs?after=nothing&limit=101", 400);
        using var deployment = await http.DeleteAsync(new Uri("/v1/models/words", UriKind.Relative), Cancel);
        Assert.Equal(400, (int)deployment.StatusCode);
        using var unknown = await http.DeleteAsync(new Uri("/v1/models/ft:base:acme::0123456789ab", UriKind.Relative), Cancel);
        Assert.Equal(404, (int)unknown.StatusCode);
    }

    private static async Task<IReadOnlyList<string>> SchemaErrorsAsync(string schema, JsonElement document) => await SchemaTests.ErrorsAsync(
        SchemaTests.SharedData("openai/openapi.json"),
        [new System.Text.Json.Nodes.JsonObject { ["schema"] = schema, ["document"] = System.Text.Json.Nodes.JsonNode.Parse(document.GetRawText()) }]);

    private static async Task<IReadOnlyList<JsonElement>> FilesAsync(HttpClient http) => [.. (await GetAsync(http, "/v1/files", 200)).GetProperty("data").EnumerateArray()];

    private static async Task<JsonElement> GetAsync(HttpClient http, string path, int expected)
    {
        using var response = await http.GetAsync(new Uri(path, UriKind.Relative), Cancel);
        var body = await response.Content.ReadAsStringAsync(Cancel);
        Assert.True((int)response.StatusCode == expected, $"{path} answered {response.StatusCode}: {body}");
        return JsonElement.Parse(body);
    }

    private static async Task<(int Status, JsonElement Body)> UploadAsync(HttpClient http, string purpose, string content, params (string Name, string Value)[] fields)
    {
        using var form = new MultipartFormDataContent();
        using var file = new ByteArrayContent(Encoding.UTF8.GetBytes(content));
        form.Add(file, "file", "rows.jsonl"); // before its purpose
        foreach (var (name, value) in fields.Prepend(("purpose", purpose))) form.Add(new StringContent(value), name);
        using var response = await http.PostAsync(new Uri("/v1/files", UriKind.Relative), form, Cancel);
        return ((int)response.StatusCode, JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)));
    }

    /// <summary>A form whose sender is gone in the middle of the file.</summary>
    private sealed class StalledContent : HttpContent
    {
        public const string FileName = "stalled.jsonl";
        private readonly CancellationTokenSource hangUp;

        public StalledContent(CancellationTokenSource hangUp)
        {
            this.hangUp = hangUp;
            Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=b");
        }

        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            await stream.WriteAsync(Encoding.UTF8.GetBytes($"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{FileName}\"\r\n\r\n{GoodRow}\n"));
            await stream.FlushAsync();
            await hangUp.CancelAsync();
            await Task.Delay(Timeout.Infinite, hangUp.Token);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
