using System.Text;
using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>A whole completion, folded from its pieces.</summary>
internal sealed record Completion(string Text, int[] Tokens, FinishReason Finish, GenerationUsage Usage, IReadOnlyList<TokenLogprob> Logprobs);

internal static class CompletionExtensions
{
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(60);

    public static async Task<Completion> CompleteAsync(
        this BatchingEngine engine, GenerationRequest request, CancellationToken cancellationToken = default)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(limit);
        var text = new StringBuilder();
        var tokens = new List<int>();
        var logprobs = new List<TokenLogprob>();
        GeneratedPiece? last = null;
        await foreach (var piece in engine.GenerateAsync(request, timeout.Token))
        {
            Assert.Null(last?.Finish);
            text.Append(piece.Text);
            tokens.AddRange(piece.Tokens);
            logprobs.AddRange(piece.Logprobs);
            last = piece;
        }
        Assert.NotNull(last?.Finish);
        Assert.NotNull(last.Usage);
        Assert.Equal(tokens.Count, last.Usage.CompletionTokens);
        Assert.Equal(request.Prompt.Length, last.Usage.PromptTokens);
        return new Completion(text.ToString(), [.. tokens], last.Finish.Value, last.Usage, logprobs);
    }
}
