using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Serving;

/// <summary>Every answer of OpenAI's API has the shape that OpenAI's own description gives it, whole and chunk by chunk, refusals too.</summary>
[Collection(nameof(ServingCollection))]
public sealed class SchemaTests(ServingFixture fixture)
{
    private const string Tools = """[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]""";
    private const string Messages = """[{"role":"user","content":"Which colour?"}]""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Answers_HaveTheShapeOfOpenAIsDescription()
    {
        var description = SharedData("openai/openapi.json");
        await fixture.DeployEncoderAsync("encoder", pooling: 1, Cancel);
        using var http = ServingFixture.Connect(fixture.Server);
        var documents = new JsonArray();
        void Add(string schema, JsonElement document) => documents.Add((JsonNode)new JsonObject { ["schema"] = schema, ["document"] = JsonNode.Parse(document.GetRawText()) });
        async Task WholeAsync(string schema, string path, string json, int expected = 200)
        {
            var (status, body) = await http.PostAsync(path, json, Cancel);
            Assert.True(status == expected, $"{path} answered {status}: {body}");
            Add(schema, body);
        }
        async Task StreamAsync(string schema, string path, string json)
        {
            foreach (var chunk in await http.StreamAsync(path, json, Cancel)) Add(schema, chunk);
        }

        foreach (var model in new[] { "words", "text", "thinker" })
        {
            var usual = $$"""{"model":"{{model}}","messages":{{Messages}},"max_tokens":4}""";
            await WholeAsync("CreateChatCompletionResponse", "/v1/chat/completions", usual);
            await StreamAsync("CreateChatCompletionStreamResponse", "/v1/chat/completions", usual.Replace("}]", "}],\"stream\":true,\"stream_options\":{\"include_usage\":true}", StringComparison.Ordinal));
            await WholeAsync("Response", "/v1/responses", $$"""{"model":"{{model}}","input":"Which colour?","max_output_tokens":4,"metadata":{"a":"b"} }""");
            await StreamAsync("ResponseStreamEvent", "/v1/responses", $$"""{"model":"{{model}}","input":"Which colour?","stream":true,"max_output_tokens":4}""");
            await WholeAsync("CreateCompletionResponse", "/v1/completions", $$"""{"model":"{{model}}","prompt":"Blue","max_tokens":4}""");
        }
        await WholeAsync("CreateChatCompletionResponse", "/v1/chat/completions", $$"""{"model":"text","messages":{{Messages}},"logprobs":true,"top_logprobs":1,"n":2}""");
        await StreamAsync("CreateChatCompletionStreamResponse", "/v1/chat/completions", $$"""{"model":"text","messages":{{Messages}},"logprobs":true,"stream":true}""");
        await WholeAsync("CreateChatCompletionResponse", "/v1/chat/completions", $$"""{"model":"tools","messages":{{Messages}},"tools":{{Tools}}}""");
        await StreamAsync("CreateChatCompletionStreamResponse", "/v1/chat/completions", $$"""{"model":"tools","messages":{{Messages}},"tools":{{Tools}},"stream":true}""");
        var flat = """[{"type":"function","name":"weather","parameters":{"type":"object"},"strict":true}]""";
        await WholeAsync("Response", "/v1/responses", $$"""{"model":"tools","input":"Weather?","tools":{{flat}},"include":["message.output_text.logprobs"]}""");
        await StreamAsync("ResponseStreamEvent", "/v1/responses", $$"""{"model":"tools","input":"Weather?","tools":{{flat}},"stream":true}""");
        await StreamAsync("ResponseStreamEvent", "/v1/responses", """{"model":"text","input":"x","include":["message.output_text.logprobs"],"top_logprobs":1,"stream":true}""");
        await StreamAsync("ResponseStreamEvent", "/v1/responses", """{"model":"broken","input":"x","stream":true}""");
        await WholeAsync("CreateCompletionResponse", "/v1/completions", """{"model":"text","prompt":["a","b"],"logprobs":1}""");
        await WholeAsync("CreateEmbeddingResponse", "/v1/embeddings", """{"model":"vectors","input":["a","b"]}""");
        await WholeAsync("CreateEmbeddingResponse", "/v1/embeddings", """{"model":"encoder","input":["a","b c"]}""");
        foreach (var path in new[] { "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses" })
        {
            await WholeAsync("ErrorResponse", path, "{", 400);
            await WholeAsync("ErrorResponse", path, """{"model":"nobody","messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x"}""", path == "/v1/chat/completions" ? 400 : path == "/v1/completions" ? 400 : path == "/v1/responses" ? 400 : 404);
        }
        Add("ListModelsResponse", JsonElement.Parse(await http.GetStringAsync(new Uri("/v1/models", UriKind.Relative), Cancel)));
        Add("Model", JsonElement.Parse(await http.GetStringAsync(new Uri("/v1/models/words", UriKind.Relative), Cancel)));

        Assert.Empty(await ErrorsAsync(description, documents));
        // That the validator can fail: a chunk is no response.
        Assert.NotEmpty(await ErrorsAsync(description, [new JsonObject { ["schema"] = "Response", ["document"] = new JsonObject { ["id"] = 1 } }]));
    }

    internal static async Task<IReadOnlyList<string>> ErrorsAsync(string description, JsonArray documents)
    {
        var folder = Path.Combine(RepositoryRoot.Path, "tests/oracles");
        await NodePackages.RestoreAsync(folder, "ajv", Cancel);
        var question = new JsonObject { ["description"] = description, ["documents"] = documents };
        var answer = await ProcessRun.ExpectSuccessAsync("node", ["validate-openapi.mjs"], folder, [], Cancel, input: question.ToJsonString());
        return [.. JsonElement.Parse(answer).GetProperty("errors").EnumerateArray().Select(error => error.GetString()!)];
    }

    internal static string SharedData(string path)
    {
        for (var place = new DirectoryInfo(RepositoryRoot.Path); place is not null; place = place.Parent)
            if (Path.Combine(place.FullName, "shared", "data", path) is var file && File.Exists(file)) return file;
        Assert.Skip($"shared/data/{path} is not on this machine");
        return "";
    }
}
