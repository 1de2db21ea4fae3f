using System.Text.Json;

namespace ModelOps.Tests.Serving;

/// <summary>OpenAI's API as plain HTTP: what is told, in which shape, and what is refused in which words.</summary>
[Collection(nameof(ServingCollection))]
public sealed class OpenAIApiTests(ServingFixture fixture)
{
    private const string Weather = """{"type":"function","function":{"name":"weather","description":"of a place","parameters":{"type":"object","properties":{"place":{"type":"string"}},"required":["place"]}}}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Chat_WithTools_TellsTheCallsAndTheReasoning()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync("/v1/chat/completions", Chat("tools", $"\"tools\":[{Weather}]"), Cancel);
        Assert.Equal(200, status);
        var choice = answer.GetProperty("choices")[0];
        Assert.Equal("tool_calls", choice.Text("finish_reason"));
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("content").ValueKind);
        Assert.Equal("Both places are asked for.", choice.Text("message", "reasoning_content"));
        var calls = choice.GetProperty("message").GetProperty("tool_calls").EnumerateArray().ToList();
        Assert.Equal(["call_one", "call_two"], calls.Select(call => call.Text("id")));
        Assert.Equal(["{\"place\":\"Paris\"}", "{\"place\":\"Oslo\"}"], calls.Select(call => call.Text("function", "arguments")));
        Assert.Equal(3, answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
    }

    [Fact]
    public async Task Chat_WithToolsStreamed_TellsTheSameAsWhole()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var chunks = await http.StreamAsync("/v1/chat/completions", Chat("tools", $"\"tools\":[{Weather}],\"stream\":true,\"stream_options\":{{\"include_usage\":true}}"), Cancel);
        var deltas = chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray()).Select(choice => choice.GetProperty("delta")).ToList();
        var calls = deltas.Where(delta => delta.TryGetProperty("tool_calls", out _)).SelectMany(delta => delta.GetProperty("tool_calls").EnumerateArray()).ToList();
        Assert.Equal(["call_one", "call_two"], calls.Where(call => call.TryGetProperty("id", out _)).Select(call => call.Text("id")));
        Assert.Equal("{\"place\":\"Oslo\"}", string.Concat(calls.Where(call => call.GetProperty("index").GetInt32() == 1).Select(call => call.Text("function", "arguments"))));
        Assert.Equal(19, chunks[^1].GetProperty("usage").GetProperty("total_tokens").GetInt32());
        Assert.Empty(chunks[^1].GetProperty("choices").EnumerateArray());
        Assert.Single(chunks.Select(chunk => chunk.Text("id")).Distinct());
    }

    [Fact]
    public async Task Chat_WithoutParallelToolCalls_TellsOneCall()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (_, answer) = await http.PostAsync("/v1/chat/completions", Chat("tools", $"\"parallel_tool_calls\":false,\"tools\":[{Weather}]"), Cancel);
        Assert.Equal("call_one", Assert.Single(answer.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls").EnumerateArray()).Text("id"));
    }

    [Fact]
    public async Task Chat_EveryParameter_ReachesTheBackend()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, _) = await http.PostAsync(
            "/v1/chat/completions",
            $$$$"""
            {"model":"text","messages":[
              {"role":"developer","content":[{"type":"text","text":"Be "},{"type":"text","text":"brief."}]},
              {"role":"user","name":"ann","content":"Weather?"},
              {"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"place\":\"Rome\"}"}}]},
              {"role":"tool","tool_call_id":"c1","content":"sunny"}],
             "tools":[{{{{Weather}}}}],"tool_choice":{"type":"function","function":{"name":"weather"}},
             "response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}},
             "temperature":0.5,"top_p":0.75,"top_k":7,"min_p":0.125,"seed":11,"frequency_penalty":0.5,"presence_penalty":-0.5,"repetition_penalty":1.25,
             "logit_bias":{"42":-100},"stop":["END"],"max_completion_tokens":9,"logprobs":true,"top_logprobs":2,"priority":-3,
             "chat_template_kwargs":{"enable_thinking":false},"reasoning_effort":"low","user":"u1","metadata":{"a":"b"}}
            """,
            Cancel);
        Assert.Equal(200, status);
        var sent = fixture.Peer.Bodies["text"];
        Assert.Equal(["system", "user", "assistant", "tool"], sent.GetProperty("messages").EnumerateArray().Select(message => message.Text("role")));
        Assert.Equal("Be brief.", sent.GetProperty("messages")[0].Text("content"));
        Assert.Equal("hm", sent.GetProperty("messages")[2].Text("reasoning_content"));
        Assert.Equal("{\"place\":\"Rome\"}", sent.GetProperty("messages")[2].GetProperty("tool_calls")[0].Text("function", "arguments"));
        Assert.Equal("c1", sent.GetProperty("messages")[3].Text("tool_call_id"));
        Assert.Equal("weather", sent.Text("tool_choice", "function", "name"));
        Assert.Equal("object", sent.Text("response_format", "json_schema", "schema", "type"));
        foreach (var (name, value) in new Dictionary<string, double>
        {
            ["temperature"] = 0.5,
            ["top_p"] = 0.75,
            ["top_k"] = 7,
            ["min_p"] = 0.125,
            ["seed"] = 11,
            ["frequency_penalty"] = 0.5,
            ["presence_penalty"] = -0.5,
            ["repetition_penalty"] = 1.25,
            ["max_tokens"] = 9,
            ["top_logprobs"] = 2,
            ["priority"] = -1,
        })
            Assert.Equal(value, sent.GetProperty(name).GetDouble(), 6);
        Assert.Equal(-100, sent.GetProperty("logit_bias").GetProperty("42").GetDouble());
        Assert.Equal("END", Assert.Single(sent.GetProperty("stop").EnumerateArray()).GetString());
        Assert.False(sent.GetProperty("chat_template_kwargs").GetProperty("enable_thinking").GetBoolean());
        Assert.Equal("low", sent.Text("chat_template_kwargs", "reasoning_effort"));
        Assert.False(sent.TryGetProperty("user", out _)); // who asks is not told to others
    }

    [Fact]
    public async Task Chat_WithN_TellsEachAnswerWithTheNextSeedAndThePromptOnce()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var before = fixture.Peer.Requests.GetValueOrDefault("many");
        var (_, answer) = await http.PostAsync("/v1/chat/completions", Chat("many", "\"n\":3,\"seed\":5"), Cancel);
        Assert.Equal([0, 1, 2], answer.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("index").GetInt32()));
        Assert.All(answer.GetProperty("choices").EnumerateArray(), choice => Assert.Equal("Blue is a colour – naïve 🎨.", choice.Text("message", "content")));
        Assert.Equal(3, fixture.Peer.Requests["many"] - before);
        Assert.Equal(5, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(12, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        var chunks = await http.StreamAsync("/v1/chat/completions", Chat("many", "\"n\":2,\"stream\":true"), Cancel);
        var choices = chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray()).ToLookup(choice => choice.GetProperty("index").GetInt32());
        Assert.Equal([0, 1], choices.Select(choice => choice.Key).Order());
        Assert.All(choices, one => Assert.Equal("stop", Assert.Single(one, choice => choice.GetProperty("finish_reason").ValueKind == JsonValueKind.String).Text("finish_reason")));
    }

    [Fact]
    public async Task Chat_WithLogprobs_TellsThemForEveryToken()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (_, answer) = await http.PostAsync("/v1/chat/completions", Chat("text", "\"logprobs\":true,\"top_logprobs\":1"), Cancel);
        var logprobs = answer.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray().ToList();
        Assert.Equal(["Blue", " is", " a colour", " – naïve 🎨."], logprobs.Select(logprob => logprob.Text("token")));
        Assert.Equal(-0.25, logprobs[0].GetProperty("logprob").GetDouble());
        Assert.Equal("Red", logprobs[0].GetProperty("top_logprobs")[0].Text("token"));
    }

    [Theory]
    [InlineData("\"temperature\":9", "temperature")]
    [InlineData("\"top_logprobs\":2", "top_logprobs")]
    [InlineData("\"n\":99", "n")]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice")]
    [InlineData("\"tools\":[{\"type\":\"web_search\"}]", "tools[0].type")]
    [InlineData("\"response_format\":{\"type\":\"yaml\"}", "response_format.type")]
    [InlineData("\"logit_bias\":{\"x\":1}", "logit_bias.x")]
    [InlineData("\"stop\":[\"\"]", "stop")]
    [InlineData("\"grammar\":\"root ::= \\\"a\\\"\",\"guided_json\":{}", "response_format")]
    [InlineData("\"stream_options\":{\"include_usage\":true}", "stream_options")]
    [InlineData("\"audio\":{\"voice\":\"alloy\"}", "audio")]
    [InlineData("\"max_tokens\":\"many\"", "max_tokens")]
    public async Task Chat_AWrongParameter_IsNamed(string parameters, string param)
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync("/v1/chat/completions", Chat("text", parameters), Cancel);
        Assert.Equal(400, status);
        Assert.Equal("invalid_request_error", answer.Text("error", "type"));
        Assert.Equal(param, answer.Text("error", "param"));
    }

    [Theory]
    [InlineData("""[{"role":"function","content":"x"}]""", "messages[0].role")]
    [InlineData("""[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}]""", "messages[0].content")]
    [InlineData("""[{"role":"tool","content":"x"}]""", "messages[0].tool_call_id")]
    [InlineData("""[{"role":"assistant","content":null}]""", "messages[0].content")]
    [InlineData("""[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"[1]"}}]}]""", "messages[0].tool_calls[0].function.arguments")]
    [InlineData("[]", "messages")]
    public async Task Chat_AWrongMessage_IsNamed(string messages, string param)
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync("/v1/chat/completions", $$"""{"model":"text","messages":{{messages}}}""", Cancel);
        Assert.Equal(400, status);
        Assert.Equal(param, answer.Text("error", "param"));
    }

    [Theory]
    [InlineData("nobody", 404, "model_not_found")]
    [InlineData("long", 400, "context_length_exceeded")]
    [InlineData("busy", 429, "rate_limit_exceeded")]
    public async Task Chat_ThatCannotBeAnswered_HasOpenAIsCode(string model, int status, string code)
    {
        using var http = ServingFixture.Connect(fixture.Server);
        foreach (var stream in new[] { "false", "true" })
        {
            using var content = new StringContent(Chat(model, $"\"stream\":{stream}"), System.Text.Encoding.UTF8, "application/json");
            using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, Cancel);
            Assert.Equal(status, (int)response.StatusCode);
            Assert.Equal(code, JsonElement.Parse(await response.Content.ReadAsStringAsync(Cancel)).Text("error", "code"));
            if (status == 429) Assert.Equal(TimeSpan.FromSeconds(7), response.Headers.RetryAfter!.Delta);
        }
    }

    [Fact]
    public async Task Chat_ThatBreaksOnTheWay_EndsWithTheErrorInTheStream()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        foreach (var model in new[] { "broken", "cut", "silent" })
        {
            var chunks = await http.StreamAsync("/v1/chat/completions", Chat(model, "\"stream\":true"), Cancel);
            Assert.Equal("Blue", chunks[1].GetProperty("choices")[0].Text("delta", "content"));
            Assert.Equal("server_error", chunks[^1].Text("error", "type"));
            Assert.Contains("'peer'", chunks[^1].Text("error", "message"), StringComparison.Ordinal);
        }
        await fixture.Peer.SilentGone.Task.WaitAsync(TimeSpan.FromSeconds(10), Cancel); // what is given up is canceled there too
        var (status, whole) = await http.PostAsync("/v1/chat/completions", Chat("broken", "\"stream\":false"), Cancel);
        Assert.Equal(503, status);
        Assert.Contains("the engine aborted", whole.Text("error", "message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Completions_OfSeveralPrompts_AnswerEach()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync("/v1/completions", """{"model":"text","prompt":["The sky: ","The sea: "],"n":2,"echo":true,"max_tokens":8}""", Cancel);
        Assert.Equal(200, status);
        var choices = answer.GetProperty("choices").EnumerateArray().ToList();
        Assert.Equal(4, choices.Count);
        Assert.StartsWith("The sky: Blue", choices[1].Text("text"), StringComparison.Ordinal);
        Assert.StartsWith("The sea: Blue", choices[2].Text("text"), StringComparison.Ordinal);
        Assert.Equal(10, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        var (refused, why) = await http.PostAsync("/v1/completions", """{"model":"text","prompt":[1,2],"suffix":"x"}""", Cancel);
        Assert.Equal(400, refused);
        Assert.Contains("suffix", why.Text("error", "message"), StringComparison.Ordinal);
        Assert.Equal("prompt", why.Text("error", "param"));
    }

    [Fact]
    public async Task Completions_WithLogprobs_TellsParallelLists()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (_, answer) = await http.PostAsync("/v1/completions", """{"model":"text","prompt":"x","logprobs":1}""", Cancel);
        var logprobs = answer.GetProperty("choices")[0].GetProperty("logprobs");
        Assert.Equal([0, 4, 7, 16], logprobs.GetProperty("text_offset").EnumerateArray().Select(offset => offset.GetInt32()));
        Assert.Equal(-1.5, logprobs.GetProperty("top_logprobs")[0].GetProperty("Red").GetDouble());
    }

    [Fact]
    public async Task Embeddings_InEveryForm_AreTheSameVectors()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, floats) = await http.PostAsync("/v1/embeddings", """{"model":"vectors","input":["ab","abcd"]}""", Cancel);
        Assert.Equal(200, status);
        Assert.Equal([0.6f, 0.8f, 4f], floats.GetProperty("data")[1].GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle()));
        Assert.Equal(6, floats.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        var (_, base64) = await http.PostAsync("/v1/embeddings", """{"model":"vectors","input":[[1,2],[1,2,3,4]],"encoding_format":"base64","dimensions":2}""", Cancel);
        var bytes = base64.GetProperty("data")[1].GetProperty("embedding").GetBytesFromBase64();
        Assert.Equal([0.6f, 0.8f], Enumerable.Range(0, 2).Select(i => BitConverter.ToSingle(bytes, i * 4)).Select(value => MathF.Round(value, 5)));
        var (refused, why) = await http.PostAsync("/v1/embeddings", """{"model":"vectors","input":"ab","dimensions":99}""", Cancel);
        Assert.Equal((400, "dimensions"), (refused, why.Text("error", "param")));
        Assert.Equal("input", (await http.PostAsync("/v1/embeddings", """{"model":"vectors","input":""}""", Cancel)).Body.Text("error", "param"));
    }

    [Fact]
    public async Task Rerank_OrdersTheDocuments()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync(
            "/v1/rerank", """{"model":"vectors","query":"sea","documents":["land",{"text":"the sea"},"sea"],"top_n":2,"return_documents":true}""", Cancel);
        Assert.Equal(200, status);
        Assert.Equal([1, 2], answer.GetProperty("results").EnumerateArray().Select(result => result.GetProperty("index").GetInt32()));
        Assert.Equal("the sea", answer.GetProperty("results")[0].Text("document", "text"));
    }

    [Fact]
    public async Task Models_AreDeploymentsAndThoseOfBackends()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var list = JsonElement.Parse(await http.GetStringAsync(new Uri("/v1/models", UriKind.Relative), Cancel)).GetProperty("data").EnumerateArray().ToList();
        Assert.Equal("modelops", Assert.Single(list, model => model.Text("id") == "words").Text("owned_by"));
        Assert.Equal("peer", Assert.Single(list, model => model.Text("id") == "tools").Text("owned_by"));
        Assert.Equal("tools", JsonElement.Parse(await http.GetStringAsync(new Uri("/v1/models/tools", UriKind.Relative), Cancel)).Text("id"));
    }

    [Fact]
    public async Task Responses_WithToolsAndReasoning_TellsItems()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync(
            "/v1/responses",
            """
            {"model":"tools","instructions":"Be brief.","store":false,"tool_choice":{"type":"function","name":"weather"},
             "tools":[{"type":"function","name":"weather","parameters":{"type":"object"},"strict":true}],
             "input":[{"role":"user","content":[{"type":"input_text","text":"Weather?"}]},
                      {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
                      {"type":"function_call","call_id":"c1","name":"weather","arguments":"{}"},{"type":"function_call","call_id":"c2","name":"weather","arguments":"{}"},
                      {"type":"function_call_output","call_id":"c1","output":"sun"},{"type":"function_call_output","call_id":"c2","output":"rain"}]}
            """,
            Cancel);
        Assert.Equal(200, status);
        Assert.Equal("completed", answer.Text("status"));
        var items = answer.GetProperty("output").EnumerateArray().ToList();
        Assert.Equal(["reasoning", "function_call", "function_call"], items.Select(item => item.Text("type")));
        Assert.Equal("{\"place\":\"Paris\"}", items[1].Text("arguments"));
        Assert.Equal("call_two", items[2].Text("call_id"));
        Assert.Equal(3, answer.GetProperty("usage").GetProperty("input_tokens_details").GetProperty("cached_tokens").GetInt32());
        var sent = fixture.Peer.Bodies["tools"].GetProperty("messages").EnumerateArray().ToList();
        Assert.Equal(["system", "user", "assistant", "tool", "tool"], sent.Select(message => message.Text("role")));
        Assert.Equal(2, sent[2].GetProperty("tool_calls").GetArrayLength());
        Assert.Equal("hm", sent[2].Text("reasoning_content"));
    }

    [Fact]
    public async Task Responses_Streamed_EndWithTheWholeResponse()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var events = await http.StreamAsync("/v1/responses", """{"model":"thinker","input":"Colour?","stream":true}""", Cancel);
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(next => next.GetProperty("sequence_number").GetInt32()));
        Assert.Equal(
            [
                "response.created", "response.in_progress",
                "response.output_item.added", "response.content_part.added", "response.reasoning_text.delta", "response.reasoning_text.done",
                "response.content_part.done", "response.output_item.done",
                "response.output_item.added", "response.content_part.added",
                "response.output_text.delta", "response.output_text.delta", "response.output_text.delta", "response.output_text.delta",
                "response.output_text.done", "response.content_part.done", "response.output_item.done",
                "response.completed",
            ],
            events.Select(next => next.Text("type")));
        var told = string.Concat(events.Where(next => next.Text("type") == "response.output_text.delta").Select(next => next.Text("delta")));
        var message = events[^1].GetProperty("response").GetProperty("output")[1];
        Assert.Equal(told, message.GetProperty("content")[0].Text("text"));
    }

    [Fact]
    public async Task Responses_ThatBreak_FailInTheStream()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var events = await http.StreamAsync("/v1/responses", """{"model":"broken","input":"x","stream":true}""", Cancel);
        Assert.Equal("response.failed", events[^1].Text("type"));
        Assert.Contains("the engine aborted", events[^1].Text("response", "error", "message"), StringComparison.Ordinal);
        Assert.Equal(503, (await http.PostAsync("/v1/responses", """{"model":"broken","input":"x"}""", Cancel)).Status);
    }

    [Theory]
    [InlineData("\"previous_response_id\":\"resp_1\"", "previous_response_id")]
    [InlineData("\"store\":true", "store")]
    [InlineData("\"conversation\":\"c\"", "conversation")]
    [InlineData("\"background\":true", "background")]
    [InlineData("\"tools\":[{\"type\":\"file_search\"}]", "tools[0].type")]
    public async Task Responses_WhatWouldKeepAState_IsRefused(string parameters, string param)
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync("/v1/responses", $$"""{"model":"text","input":"x",{{parameters}}}""", Cancel);
        Assert.Equal((400, param), (status, answer.Text("error", "param")));
    }

    /// <summary>What is no request is the caller's fault, whatever it is.</summary>
    [Theory]
    [InlineData("/v1/chat/completions", """{"model":null,"messages":[{"role":"user","content":"x"}]}""")]
    [InlineData("/v1/chat/completions", """{"model":"text","messages":null}""")]
    [InlineData("/v1/chat/completions", """{"model":"text","messages":[null]}""")]
    [InlineData("/v1/chat/completions", """{"model":"text","messages":[{"content":"x"}]}""")]
    [InlineData("/v1/chat/completions", """{"model":"text","messages":[{"role":"assistant","content":"x","tool_calls":[null]}]}""")]
    [InlineData("/v1/chat/completions", """{"model":"text","messages":[{"role":"user","content":"x"}],"tools":[null]}""")]
    [InlineData("/v1/chat/completions", """{"model":"text","messages":[{"role":"user","content":"x"}],"logit_bias":[1]}""")]
    [InlineData("/v1/chat/completions", "null")]
    [InlineData("/v1/chat/completions", "[]")]
    [InlineData("/v1/completions", """{"model":"text"}""")]
    [InlineData("/v1/completions", """{"model":"text","prompt":[null]}""")]
    [InlineData("/v1/embeddings", """{"model":"vectors","input":[null]}""")]
    [InlineData("/v1/embeddings", """{"model":"vectors","input":{}}""")]
    [InlineData("/v1/rerank", """{"model":"vectors","query":"x","documents":[null]}""")]
    [InlineData("/v1/responses", """{"model":"text","input":[null]}""")]
    [InlineData("/v1/responses", """{"model":"text","input":[{"type":"function_call_output"}]}""")]
    [InlineData("/v1/responses", """{"model":"text","input":[5]}""")]
    [InlineData("/v1/responses", """{"model":"text","input":"x","tools":[null]}""")]
    [InlineData("/v1/responses", """{"model":"text","input":"x","tool_choice":{"name":5}}""")]
    [InlineData("/v1/responses", """{"model":"text","input":"x","text":{"format":{"schema":5}}}""")]
    [InlineData("/api/chat", """{"model":"text","messages":[null]}""")]
    [InlineData("/api/chat", """{"model":"text","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":5}}]}]}""")]
    [InlineData("/api/generate", """{"model":"text","prompt":"x","options":{"stop":[null]}}""")]
    [InlineData("/api/generate", """{"model":"text","prompt":"x","format":"xml"}""")]
    [InlineData("/api/show", "{}")]
    [InlineData("/api/embed", """{"model":"vectors","input":[[1]]}""")]
    public async Task Malformed_IsRefusedAsTheCallersFault(string path, string body)
    {
        using var http = ServingFixture.Connect(fixture.Server);
        var (status, answer) = await http.PostAsync(path, body, Cancel);
        Assert.True(status == 400, $"{status}: {answer}");
        Assert.NotEmpty(path.StartsWith("/v1", StringComparison.Ordinal) ? answer.Text("error", "message") : answer.Text("error"));
    }

    [Fact]
    public async Task Prompts_AndKeys_StandInNoLog()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        await http.PostAsync("/v1/chat/completions", """{"model":"broken","messages":[{"role":"user","content":"the-secret-of-the-prompt"}]}""", Cancel);
        await http.PostAsync("/v1/chat/completions", """{"model":"words","max_tokens":2,"messages":[{"role":"user","content":"the-secret-of-the-prompt"}]}""", Cancel);
        Assert.Contains("/v1/chat/completions", fixture.Server.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("the-secret-of-the-prompt", fixture.Server.Log, StringComparison.Ordinal);
        Assert.DoesNotContain(ScriptedPeer.Key, fixture.Server.Log, StringComparison.Ordinal);
    }

    private static string Chat(string model, string parameters) =>
        $$"""{"model":"{{model}}","messages":[{"role":"user","content":"Which colour?"}],{{parameters}}}""";
}
