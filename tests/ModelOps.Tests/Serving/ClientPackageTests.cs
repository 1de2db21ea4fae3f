using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using OllamaSharp;
using OllamaSharp.Models;
using OllamaSharp.Models.Chat;
using OpenAI;
using OpenAI.Chat;

namespace ModelOps.Tests.Serving;

/// <summary>Clients that nobody here wrote, unchanged but for the address: openai from npm, OpenAI and OllamaSharp from NuGet.</summary>
[Collection(nameof(ServingCollection))]
public sealed class ClientPackageTests(ServingFixture fixture)
{
    private const string Question = "What does \"river\" mean?";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OpenAIOfNpm_DoesAllOfIt()
    {
        var folder = Path.Combine(RepositoryRoot.Path, "tests/clients");
        await NodePackages.RestoreAsync(folder, "openai", Cancel);
        var output = await ProcessRun.ExpectSuccessAsync(
            "node", ["openai.mjs", $"{fixture.Server.Client.Server.AbsoluteUri.TrimEnd('/')}/v1", fixture.Server.ApiKey, "words"], folder,
            [("NODE_EXTRA_CA_CERTS", fixture.Server.CaCertificate)], Cancel);
        var seen = JsonElement.Parse(output);
        JsonElement Of(string name) => seen.GetProperty(name) is var one && one.ValueKind == JsonValueKind.Object && one.TryGetProperty("threw", out var threw)
            ? throw new InvalidOperationException($"{name} threw {threw}") : one;

        Assert.Contains("words", Of("models").GetProperty("ids").EnumerateArray().Select(id => id.GetString()));
        Assert.Equal("words", Of("models").Text("one"));
        var whole = Of("whole").GetProperty("choices")[0];
        Assert.NotEmpty(whole.Text("message", "content"));
        Assert.Equal(whole.Text("message", "content"), Of("streamed").Text("message", "content"));
        Assert.Equal(whole.Text("finish_reason"), Of("streamed").Text("finish"));
        Assert.Equal(Of("whole").GetProperty("usage").GetProperty("total_tokens").GetInt32(), Of("streamed").GetProperty("usage").GetProperty("total_tokens").GetInt32());
        Assert.True(Of("streamed").GetProperty("pieces").GetInt32() > 3);
        Assert.Equal(2, Of("several").GetProperty("choices").GetArrayLength());
        Assert.Equal(
            ["{\"place\":\"Paris\"}", "{\"place\":\"Oslo\"}"],
            Of("toolCalls").GetProperty("message").GetProperty("tool_calls").EnumerateArray().Select(call => call.Text("function", "arguments")));
        Assert.Equal(["Paris", "Oslo"], Of("toolLoop").GetProperty("asked").EnumerateArray().Select(place => place.GetString()));
        Assert.NotEmpty(Of("completion").GetProperty("choices")[0].Text("text"));
        Assert.Equal(5, MathF.Round(Of("embedding").GetProperty("data")[1].GetProperty("embedding")[2].GetSingle()));
        Assert.Equal(["reasoning", "function_call", "function_call"], Of("response").GetProperty("output").EnumerateArray().Select(type => type.GetString()));
        Assert.NotEmpty(Of("response").Text("text"));
        Assert.True(Of("cancelled").GetBoolean());
        Assert.Equal(("NotFoundError", "model_not_found"), (Of("unknownModel").Text("name"), Of("unknownModel").Text("code")));
        Assert.Equal(("BadRequestError", "temperature"), (Of("badRequest").Text("name"), Of("badRequest").Text("param")));
        Assert.Equal(("BadRequestError", "context_length_exceeded"), (Of("tooLong").Text("name"), Of("tooLong").Text("code")));
        Assert.Equal("RateLimitError", Of("busy").Text("name"));
        Assert.Equal("InternalServerError", Of("down").Text("name"));
        Assert.Equal("APIError", Of("broken").Text("name"));
        Assert.Equal("AuthenticationError", Of("wrongKey").Text("name"));
    }

    [Fact]
    public async Task OpenAIOfNuGet_ChatsStreamsCallsToolsAndEmbeds()
    {
        using var http = new HttpClient(ServingFixture.Handler(fixture.Server));
        var options = new OpenAIClientOptions
        {
            Endpoint = new Uri(fixture.Server.Client.Server, "v1"),
            Transport = new HttpClientPipelineTransport(http),
            RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
        };
        var client = new OpenAIClient(new ApiKeyCredential(fixture.Server.ApiKey), options);

        var chat = client.GetChatClient("words");
        var greedy = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 24 };
        ChatCompletion whole = await chat.CompleteChatAsync([new UserChatMessage(Question)], greedy, Cancel);
        var text = "";
        ChatTokenUsage? usage = null;
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage(Question)], greedy, Cancel))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            usage = update.Usage ?? usage;
        }
        Assert.NotEmpty(text);
        Assert.Equal(whole.Content[0].Text, text);
        Assert.Equal(whole.Usage.TotalTokenCount, usage!.TotalTokenCount);

        var withTools = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("weather", "of a place", BinaryData.FromString("""{"type":"object"}""")) } };
        ChatCompletion called = await client.GetChatClient("tools").CompleteChatAsync([new UserChatMessage("Weather?")], withTools, Cancel);
        Assert.Equal(ChatFinishReason.ToolCalls, called.FinishReason);
        Assert.Equal(["call_one", "call_two"], called.ToolCalls.Select(call => call.Id));
        ChatCompletion answered = await client.GetChatClient("text").CompleteChatAsync(
            [new UserChatMessage("Weather?"), new AssistantChatMessage(called), new ToolChatMessage("call_one", "sun"), new ToolChatMessage("call_two", "rain")], cancellationToken: Cancel);
        Assert.Equal("Blue is a colour – naïve 🎨.", answered.Content[0].Text);

        var formed = new ChatCompletionOptions
        {
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("colour", BinaryData.FromString("""{"type":"object"}"""), jsonSchemaIsStrict: true),
        };
        await client.GetChatClient("text").CompleteChatAsync([new UserChatMessage("Colour?")], formed, Cancel);
        Assert.Equal("object", fixture.Peer.Bodies["text"].Text("response_format", "json_schema", "schema", "type"));

        var embeddings = await client.GetEmbeddingClient("vectors").GenerateEmbeddingsAsync(["one", "three"], cancellationToken: Cancel);
        Assert.Equal([0.6f, 0.8f, 5f], embeddings.Value[1].ToFloats().ToArray());
        Assert.Contains((await client.GetOpenAIModelClient().GetModelsAsync(Cancel)).Value, model => model.Id == "words");
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => client.GetChatClient("nobody").CompleteChatAsync([new UserChatMessage("x")], cancellationToken: Cancel));
        Assert.Equal(404, refused.Status);
    }

    [Fact]
    public async Task OllamaSharp_ListsChatsGeneratesCallsToolsAndEmbeds()
    {
        using var http = ServingFixture.Connect(fixture.Server);
        using var client = new OllamaApiClient(http, "words");
        Assert.Contains(await client.ListLocalModelsAsync(Cancel), model => model is { Name: "words", Size: > 0, Digest.Length: 64 });
        Assert.NotNull(await client.GetVersionAsync(Cancel));
        Assert.Equal("gguf", (await client.ShowModelAsync("words", Cancel)).Details.Format);

        var greedy = new OllamaSharp.Models.RequestOptions { Temperature = 0, NumPredict = 16, RepeatPenalty = 1 };
        var text = "";
        ChatDoneResponseStream? done = null;
        await foreach (var line in client.ChatAsync(new ChatRequest { Model = "words:latest", Messages = [new Message(ChatRole.User, Question)], Options = greedy, Stream = true }, Cancel))
        {
            text += line!.Message.Content;
            done = line as ChatDoneResponseStream ?? done;
        }
        Assert.NotEmpty(text);
        Assert.InRange(done!.EvalCount, 1, 16);
        Assert.True(done.PromptEvalCount > 0 && done.TotalDuration > 0);

        var generated = "";
        await foreach (var line in client.GenerateAsync(new GenerateRequest { Model = "words", Prompt = Question, Options = greedy, Stream = true }, Cancel)) generated += line!.Response;
        Assert.Equal(text, generated); // the same prompt by the same template

        var thought = "";
        var calls = new List<Message.ToolCall>();
        var tool = new Tool { Function = new Function { Name = "weather", Description = "of a place", Parameters = new Parameters() } };
        await foreach (var line in client.ChatAsync(new ChatRequest { Model = "tools", Messages = [new Message(ChatRole.User, "Weather?")], Tools = [tool], Stream = true }, Cancel))
        {
            thought += line!.Message.Thinking;
            calls.AddRange(line.Message.ToolCalls ?? []);
        }
        Assert.Equal("Both places are asked for.", thought);
        Assert.Equal(["Paris", "Oslo"], calls.Select(call => $"{call.Function!.Arguments!["place"]}"));

        var vectors = await client.EmbedAsync(new EmbedRequest { Model = "vectors", Input = ["one", "three"] }, Cancel);
        Assert.Equal(5f, vectors.Embeddings[1][2]);
        await Assert.ThrowsAnyAsync<Exception>(async () => await client.ShowModelAsync("nobody", Cancel));
    }
}
