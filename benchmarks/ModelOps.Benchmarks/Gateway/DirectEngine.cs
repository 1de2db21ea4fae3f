using System.Runtime.CompilerServices;
using ModelOps.Ggml;

namespace ModelOps.Benchmarks.Gateway;

/// <summary>The engine in this process.</summary>
internal sealed class DirectEngine : IAnswering, IAsyncDisposable
{
    private readonly LlamaModel model;
    private readonly BatchingEngine engine;

    public DirectEngine(string file, EngineOptions options)
    {
        model = LlamaModel.Load(file);
        engine = new BatchingEngine(model, options);
    }

    public async IAsyncEnumerable<TimedPiece> AnswerAsync(string prompt, int maxTokens, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new GenerationRequest { Prompt = model.Tokenize(prompt, addSpecial: true, parseSpecial: false), MaxTokens = maxTokens };
        await foreach (var piece in engine.GenerateAsync(request, cancellationToken)) yield return new(piece.Text, piece.Usage?.CompletionTokens ?? 0);
    }

    public async ValueTask DisposeAsync()
    {
        await engine.DisposeAsync();
        model.Dispose();
    }
}
