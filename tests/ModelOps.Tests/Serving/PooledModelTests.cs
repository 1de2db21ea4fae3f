using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Ggml;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Serving;

/// <summary>Models that have vectors or scores for texts, through the whole server: what clients get is what the engine says.</summary>
[Collection(nameof(ServingCollection))]
[EmbeddedOnly("the engine reads a file")]
public sealed class PooledModelTests(ServingFixture fixture)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Embeddings_OfADeployedModel_AreTheEnginesOwn()
    {
        var file = await fixture.DeployEncoderAsync("sentences", pooling: 1, Cancel);
        using var http = ServingFixture.Connect(fixture.Server);
        using var model = LlamaModel.Load(file);
        await using var engine = new EmbeddingEngine(model, new EmbeddingOptions { Threads = 1 });
        string[] texts = ["a b c", "x y", "z"];
        int[][] inputs = [.. texts.Select(text => model.Tokenize(text, addSpecial: true, parseSpecial: false))];
        var expected = await engine.EmbedAsync(inputs, Cancel);

        var answer = await AnswerAsync(http, "/v1/embeddings", new JsonObject { ["model"] = "sentences", ["input"] = new JsonArray([.. texts.Select(text => (JsonNode)text)]) });
        var vectors = answer.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle()).ToArray()).ToList();
        Equal(expected, vectors);
        Assert.Equal(inputs.Sum(input => input.Length), answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());

        // Tokens in place of texts, as base64: the same.
        var tokens = new JsonArray([.. inputs.Select(input => (JsonNode)new JsonArray([.. input.Select(token => (JsonNode)token)]))]);
        var encoded = await AnswerAsync(http, "/v1/embeddings", new JsonObject { ["model"] = "sentences", ["input"] = tokens, ["encoding_format"] = "base64" });
        Equal(expected, encoded.GetProperty("data").EnumerateArray().Select(item => Floats(item.GetProperty("embedding").GetBytesFromBase64())));

        var listed = JsonElement.Parse(await http.GetStringAsync(new Uri("/v1/models", UriKind.Relative), Cancel)).GetProperty("data").EnumerateArray();
        Assert.Contains(listed, served => served.Text("id") == "sentences");
        var (status, refused) = await http.PostAsync("/v1/chat/completions", """{"model":"sentences","messages":[{"role":"user","content":"a"}]}""", Cancel);
        Assert.Equal((400, "the model 'sentences' continues no texts"), (status, refused.Text("error", "message")));
        await fixture.Server.Client.Deployments.StopAsync("sentences", Cancel);
    }

    [Fact]
    public async Task Rerank_ByADeployedModel_HasTheEnginesScores()
    {
        var file = await fixture.DeployEncoderAsync("judge", pooling: 4, Cancel);
        using var http = ServingFixture.Connect(fixture.Server);
        using var model = LlamaModel.Load(file);
        await using var engine = new RerankEngine(model, new EmbeddingOptions { Threads = 1 });
        string[] documents = ["a b", "c", "x y z"];
        var expected = await engine.RankAsync("a", documents, Cancel);

        var answer = await AnswerAsync(http, "/v1/rerank", new JsonObject
        {
            ["model"] = "judge",
            ["query"] = "a",
            ["documents"] = new JsonArray([.. documents.Select(document => (JsonNode)document)]),
        });
        var scores = answer.GetProperty("results").EnumerateArray().ToDictionary(result => result.GetProperty("index").GetInt32(), result => result.GetProperty("relevance_score").GetSingle());
        Assert.Equal(documents.Length, scores.Count);
        Assert.All(expected.Scores.Index(), score => Assert.Equal(score.Item, scores[score.Index], 1e-5f));
        Assert.Equal(expected.Scores.Index().OrderByDescending(score => score.Item).Select(score => score.Index), scores.Keys);
        Assert.Equal(expected.PromptTokens, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());

        var (status, refused) = await http.PostAsync("/v1/embeddings", """{"model":"judge","input":"a"}""", Cancel);
        Assert.Equal(400, status);
        Assert.Contains("the model 'judge' has no embeddings", refused.Text("error", "message"), StringComparison.Ordinal);
        await fixture.Server.Client.Deployments.StopAsync("judge", Cancel);
    }

    private static async Task<JsonElement> AnswerAsync(HttpClient http, string path, JsonObject request)
    {
        var (status, answer) = await http.PostAsync(path, request.ToJsonString(), Cancel);
        Assert.True(status == 200, $"{path} answered {status}: {answer}");
        return answer;
    }

    private static void Equal(IEnumerable<float[]> expected, IEnumerable<float[]> vectors) => Assert.All(expected.Zip(vectors), pair =>
    {
        Assert.Equal(pair.First.Length, pair.Second.Length);
        Assert.All(pair.First.Zip(pair.Second), value => Assert.Equal(value.First, value.Second, 1e-5f));
    });

    private static float[] Floats(byte[] bytes) => [.. Enumerable.Range(0, bytes.Length / sizeof(float)).Select(i => BitConverter.ToSingle(bytes, i * sizeof(float)))];
}
