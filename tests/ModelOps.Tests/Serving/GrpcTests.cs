using Grpc.Core;
using Grpc.Net.Client;
using ModelOps.Client;
using ModelOps.Inference.Wire;

namespace ModelOps.Tests.Serving;

/// <summary>The gateway's gRPC, with the client that the proto file gives.</summary>
[Collection(nameof(ServingCollection))]
public sealed class GrpcTests(ServingFixture fixture)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Generate_TellsWhatRestTells()
    {
        using var channel = Connect();
        var client = new Inference.Wire.Inference.InferenceClient(channel);
        var request = new GenerateRequest
        {
            Name = "words",
            Chat = new Conversation { Messages = { new Message { Role = "user", Content = "What does \"river\" mean?" } } },
            MaxTokens = 16,
        };
        using var call = client.Generate(request, Headers(fixture.Server.ApiKey), cancellationToken: Cancel);
        var replies = await call.ResponseStream.ReadAllAsync(Cancel).ToListAsync(Cancel);
        var rest = await fixture.Server.Client.Chat.CompleteAsync(
            new ChatRequest { Model = "words", Messages = [new("user", "What does \"river\" mean?")], MaxTokens = 16, Temperature = 0 }, cancellationToken: Cancel);
        Assert.Equal(rest.Content, string.Concat(replies.Select(reply => reply.Text)));
        Assert.Equal(rest.Usage!.CompletionTokens, (int)replies[^1].Usage.CompletionTokens);

        var tools = new GenerateRequest
        {
            Name = "tools",
            Chat = new Conversation { Messages = { new Message { Role = "user", Content = "x" } }, Tools = { """{"type":"function","function":{"name":"weather"}}""" } },
        };
        using var calling = client.Generate(tools, Headers(fixture.Server.ApiKey), cancellationToken: Cancel);
        var called = await calling.ResponseStream.ReadAllAsync(Cancel).ToListAsync(Cancel);
        Assert.Equal(["call_one", "call_two"], called.SelectMany(reply => reply.ToolCalls).Where(delta => delta.Id.Length > 0).Select(delta => delta.Id));
        Assert.Equal(Inference.Wire.FinishReason.ToolCalls, called[^1].FinishReason);
    }

    [Fact]
    public async Task EmbedAndRerank_Answer()
    {
        using var channel = Connect();
        var client = new Inference.Wire.Inference.InferenceClient(channel);
        var vectors = await client.EmbedAsync(
            new EmbedRequest { Name = "vectors", Inputs = { new EmbedInput { Text = "ab" }, new EmbedInput { Text = "abc" } } }, Headers(fixture.Server.ApiKey), cancellationToken: Cancel);
        Assert.Equal([2f, 3f], vectors.Vectors.Select(vector => vector.Values[2]));
        var scores = await client.RerankAsync(
            new RerankRequest { Name = "vectors", Query = "sea", Documents = { "land", "sea" } }, Headers(fixture.Server.ApiKey), cancellationToken: Cancel);
        Assert.Equal([0.1f, 0.8f], scores.Scores.Select(score => MathF.Round(score, 3)));
    }

    [Fact]
    public async Task Refusals_HaveTheirStatus()
    {
        using var channel = Connect();
        var client = new Inference.Wire.Inference.InferenceClient(channel);
        async Task<StatusCode> OfAsync(GenerateRequest request, string? key)
        {
            using var call = client.Generate(request, Headers(key), cancellationToken: Cancel);
            return (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Cancel))).StatusCode;
        }
        Assert.Equal(StatusCode.Unauthenticated, await OfAsync(new GenerateRequest { Name = "words", Prompt = "x" }, key: null));
        Assert.Equal(StatusCode.NotFound, await OfAsync(new GenerateRequest { Name = "nobody", Prompt = "x" }, fixture.Server.ApiKey));
        Assert.Equal(StatusCode.InvalidArgument, await OfAsync(new GenerateRequest { Name = "words" }, fixture.Server.ApiKey));
        Assert.Equal(StatusCode.ResourceExhausted, await OfAsync(new GenerateRequest { Name = "busy", Prompt = "x" }, fixture.Server.ApiKey));
        Assert.Equal(StatusCode.OutOfRange, await OfAsync(new GenerateRequest { Name = "long", Prompt = "x" }, fixture.Server.ApiKey));
        var viewer = await fixture.Server.Client.Keys.CreateAsync(new CreateApiKey { Name = "reads", Scopes = ["artifacts:read"] }, Cancel);
        Assert.Equal(StatusCode.PermissionDenied, await OfAsync(new GenerateRequest { Name = "words", Prompt = "x" }, viewer.Secret));
    }

    private GrpcChannel Connect() =>
        GrpcChannel.ForAddress(fixture.Server.Client.Server, new GrpcChannelOptions { HttpHandler = ServingFixture.Handler(fixture.Server), DisposeHttpClient = true });

    private static Metadata Headers(string? key) => key is null ? [] : new Metadata { { "authorization", $"Bearer {key}" } };
}
