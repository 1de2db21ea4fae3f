using System.Text.Json;

namespace ModelOps.Tests.Serving;

/// <summary>What only the engine can keep: forms of answers, forced calls, log probabilities, cached prompts; direct, and through the APIs of a second server.</summary>
[Collection(nameof(ServingCollection))]
public sealed class EngineApiTests(ServingFixture fixture)
{
    private const string Colour = """{"type":"object","properties":{"colour":{"enum":["red","blue"]},"light":{"type":"boolean"}},"required":["colour","light"],"additionalProperties":false}""";
    private const string Weather = """{"type":"function","function":{"name":"weather","description":"of a place","parameters":{"type":"object","properties":{"place":{"enum":["Paris","Oslo"]}},"required":["place"],"additionalProperties":false}}}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, "words")]
    [InlineData(false, "words")] // over OpenAI's API of the first
    [InlineData(false, "other")] // over Ollama's
    public async Task Chat_WithAJsonSchema_AnswersInThatForm(bool first, string model)
    {
        using var http = ServingFixture.Connect(first ? fixture.Server : fixture.Second);
        var (status, answer) = await http.PostAsync(
            "/v1/chat/completions", Chat(model, "\"max_tokens\":64,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"colour\",\"schema\":" + Colour + "}}"), Cancel);
        Assert.True(status == 200, $"{answer}");
        var form = JsonElement.Parse(answer.GetProperty("choices")[0].Text("message", "content"));
        Assert.Contains(form.Text("colour"), new[] { "red", "blue" });
        Assert.Contains(form.GetProperty("light").ValueKind, new[] { JsonValueKind.True, JsonValueKind.False });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Chat_WithAForcedTool_CallsIt(bool first)
    {
        using var http = ServingFixture.Connect(first ? fixture.Server : fixture.Second);
        var body = Chat("words", "\"max_tokens\":96,\"temperature\":0,\"tools\":[" + Weather + "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"weather\"}},\"stream\":");
        var (status, answer) = await http.PostAsync("/v1/chat/completions", body.Replace("\"stream\":}", "\"stream\":false}", StringComparison.Ordinal), Cancel);
        Assert.True(status == 200, $"{answer}");
        var choice = answer.GetProperty("choices")[0];
        Assert.Equal("tool_calls", choice.Text("finish_reason"));
        var call = Assert.Single(choice.GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        Assert.Equal("weather", call.Text("function", "name"));
        Assert.Contains(JsonElement.Parse(call.Text("function", "arguments")).Text("place"), new[] { "Paris", "Oslo" });

        var chunks = await http.StreamAsync("/v1/chat/completions", body.Replace("\"stream\":}", "\"stream\":true}", StringComparison.Ordinal), Cancel);
        var arguments = chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray()).Select(told => told.GetProperty("delta"))
            .Where(delta => delta.TryGetProperty("tool_calls", out _)).SelectMany(delta => delta.GetProperty("tool_calls").EnumerateArray())
            .Select(delta => delta.Text("function", "arguments"));
        Assert.Contains(JsonElement.Parse(string.Concat(arguments)).Text("place"), new[] { "Paris", "Oslo" });
    }

    [Fact]
    public async Task Chat_WithAGrammar_SaysNothingElse()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (_, answer) = await http.PostAsync("/v1/chat/completions", Chat("words", "\"grammar\":\"root ::= \\\"yes\\\" | \\\"no\\\"\""), Cancel);
        Assert.Contains(answer.GetProperty("choices")[0].Text("message", "content"), new[] { "yes", "no" });
        var (refused, why) = await http.PostAsync("/v1/chat/completions", Chat("words", "\"grammar\":\"root ::= (\""), Cancel);
        Assert.Equal((400, "invalid_request_error"), (refused, why.Text("error", "type")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Chat_WithLogprobs_TellsThoseOfItsText(bool first)
    {
        using var http = ServingFixture.Connect(first ? fixture.Server : fixture.Second);
        var (status, answer) = await http.PostAsync("/v1/chat/completions", Chat("words", "\"temperature\":0,\"max_tokens\":6,\"logprobs\":true,\"top_logprobs\":3"), Cancel);
        Assert.True(status == 200, $"{answer}");
        var choice = answer.GetProperty("choices")[0];
        var tokens = choice.GetProperty("logprobs").GetProperty("content").EnumerateArray().ToList();
        Assert.Equal(choice.Text("message", "content"), string.Concat(tokens.Select(token => token.Text("token"))));
        Assert.All(tokens, token =>
        {
            Assert.True(token.GetProperty("logprob").GetDouble() <= 0);
            var top = token.GetProperty("top_logprobs").EnumerateArray().Select(other => other.GetProperty("logprob").GetDouble()).ToList();
            Assert.Equal(3, top.Count);
            Assert.Equal(top.OrderDescending(), top);
            Assert.Equal(token.GetProperty("logprob").GetDouble(), top[0], 4); // greedy: the likeliest was taken
        });
    }

    [Fact]
    public async Task Chat_AskedAgain_TellsWhatWasCached()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        const string Body = """{"model":"words","max_tokens":2,"messages":[{"role":"user","content":"A question that nobody else asks, so that its first reading is a full one: what is a river?"}]}""";
        await http.PostAsync("/v1/chat/completions", Body, Cancel);
        var usage = (await http.PostAsync("/v1/chat/completions", Body, Cancel)).Body.GetProperty("usage");
        Assert.InRange(usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32(), 1, usage.GetProperty("prompt_tokens").GetInt32());
    }

    private static string Chat(string model, string parameters) =>
        $$"""{"model":"{{model}}","messages":[{"role":"user","content":"What is a river?"}],{{parameters}}}""";
}
