using System.Runtime.CompilerServices;
using ModelOps.Inference;

namespace ModelOps.Tests.Deployments;

/// <summary>Which replica a request goes to, and when another one takes it.</summary>
[EndToEnd.EmbeddedOnly("it touches no store")]
public sealed class ReplicaBackendTests
{
    private static readonly Dictionary<string, string> adapters = new(StringComparer.Ordinal) { ["tone"] = "tone#1" };
    private readonly ReplicaBackend backend = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_GoesToTheLeastBusyAndKeepsItsPlaceToTheEnd()
    {
        backend.Serve([new Replica(new Scripted("one"), "m#1"), new Replica(new Scripted("two"), "m#1")], adapters);
        await using (var first = Begin())
        {
            Assert.Equal("one m#1", await NextAsync(first));
            await using var second = Begin("tone");
            Assert.Equal("two m#1 tone#1", await NextAsync(second));
        }
        Assert.Equal("one m#1", await AnswerAsync());
    }

    [Theory]
    [InlineData(InferenceError.Busy)]
    [InlineData(InferenceError.Unavailable)]
    [InlineData(InferenceError.ModelNotFound)]
    public async Task GenerateAsync_WhereAReplicaCannot_TheNextDoes(InferenceError error)
    {
        backend.Serve([new Replica(new Scripted("one") { Refuses = error }, "m#1"), new Replica(new Scripted("two"), "m#1")], adapters);
        Assert.Equal("two m#1", await AnswerAsync());
        Assert.Equal("two m#1", await AnswerAsync()); // the one that refused has nothing under way

        backend.Serve([new Replica(new Scripted("one") { Refuses = error }, "m#1")], adapters);
        Assert.Equal(error, (await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync())).Error);
    }

    [Fact]
    public async Task GenerateAsync_AFaultOfTheRequestOrBehindTheFirstPiece_IsTheClients()
    {
        backend.Serve([new Replica(new Scripted("one") { Refuses = InferenceError.InvalidRequest }, "m#1"), new Replica(new Scripted("two"), "m#1")], adapters);
        Assert.Equal(InferenceError.InvalidRequest, (await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync())).Error);

        backend.Serve([new Replica(new Scripted("one") { Breaks = true }, "m#1"), new Replica(new Scripted("two"), "m#1")], adapters);
        Assert.Equal(InferenceError.Unavailable, (await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync())).Error);
    }

    [Fact]
    public async Task GenerateAsync_ReplacedWhileItWasOnItsWay_IsAnsweredByTheNewOne()
    {
        var replaced = new Scripted("old") { Refuses = InferenceError.ModelNotFound };
        replaced.OnRefusal = () => backend.Serve([new Replica(new Scripted("new"), "m#2")], new Dictionary<string, string>(StringComparer.Ordinal) { ["tone"] = "tone#2" });
        backend.Serve([new Replica(replaced, "m#1")], adapters);
        Assert.Equal("new m#2 tone#2", await AnswerAsync("tone"));
    }

    [Fact]
    public async Task GenerateAsync_WithoutReplicas_SaysWhy()
    {
        Assert.True(backend.IsDown);
        backend.Hold("its worker died");
        Assert.Equal("its worker died", (await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync())).Message);
        backend.Serve([new Replica(new Scripted("one"), "m#1")], adapters);
        Assert.False(backend.IsDown);
        Assert.Equal(InferenceError.ModelNotFound, (await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync("gone"))).Error);
    }

    private IAsyncEnumerator<GenerationPiece> Begin(string? adapter = null) => backend.GenerateAsync(
        new GenerationRequest { Model = "m", Adapter = adapter, Input = new GenerationInput.Prompt("x"), Sampling = new() { Seed = 1 } }, Cancel).GetAsyncEnumerator(Cancel);

    private async Task<string> AnswerAsync(string? adapter = null)
    {
        await using var answer = Begin(adapter);
        var text = await NextAsync(answer);
        while (await answer.MoveNextAsync()) text += answer.Current.Text;
        return text;
    }

    private static async Task<string> NextAsync(IAsyncEnumerator<GenerationPiece> answer)
    {
        Assert.True(await answer.MoveNextAsync());
        return answer.Current.Text;
    }

    /// <summary>A worker that says who it is and what it was asked for.</summary>
    private sealed class Scripted(string name) : IInferenceBackend
    {
        public InferenceError? Refuses { get; init; }

        public bool Breaks { get; init; }

        public Action OnRefusal { get; set; } = () => { };

        public async IAsyncEnumerable<GenerationPiece> GenerateAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.Yield();
            if (Refuses is { } error)
            {
                OnRefusal();
                throw new InferenceException(error, $"{name} cannot");
            }
            yield return new GenerationPiece($"{name} {request.Model} {request.Adapter}".TrimEnd());
            if (Breaks) throw new InferenceException(InferenceError.Unavailable, $"{name} died");
            yield return new GenerationPiece("", FinishReason.Stop);
        }

        public Task<Embeddings> EmbedAsync(string model, IReadOnlyList<EmbeddingInput> inputs, CancellationToken cancellationToken) =>
            Task.FromResult(new Embeddings([[name.Length]], 0));

        public Task<DocumentScores> RerankAsync(string model, string query, IReadOnlyList<string> documents, CancellationToken cancellationToken) =>
            Task.FromResult(new DocumentScores([name.Length], 0));
    }
}
