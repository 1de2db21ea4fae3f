using System.Runtime.CompilerServices;
using System.Threading.Channels;
using ModelOps.Inference;

namespace ModelOps.Server.Generations;

/// <param name="Index">Which of the answers that were asked for.</param>
internal readonly record struct AnswerPiece(int Index, GenerationPiece Piece);

/// <summary>
/// Answers that have begun. The first piece is awaited before anything is told to the caller: what is wrong with a request is a status, not a broken stream.
/// </summary>
internal sealed class StartedAnswers
{
    private readonly IAsyncEnumerator<AnswerPiece> pieces;

    private StartedAnswers(IAsyncEnumerator<AnswerPiece> pieces) => this.pieces = pieces;

    /// <param name="requests">They are generated together; their pieces come as they are made.</param>
    /// <exception cref="InferenceException">One of them was refused before the first piece of any.</exception>
    public static async Task<StartedAnswers> BeginAsync(ModelRouter router, IReadOnlyList<GenerationRequest> requests, CancellationToken cancellationToken)
    {
        var begun = (requests.Count == 1 ? OneAsync(router, requests[0], cancellationToken) : TogetherAsync(router, requests, cancellationToken))
            .GetAsyncEnumerator(cancellationToken);
        try
        {
            if (await begun.MoveNextAsync()) return new StartedAnswers(begun);
            throw new InferenceException(InferenceError.Unavailable, "the backend ended the answer before it began");
        }
        catch
        {
            await begun.DisposeAsync();
            throw;
        }
    }

    /// <summary>All pieces from the first on; once only.</summary>
    /// <param name="oneToolCall">Leaves out the calls behind the first: a model cannot be told to make one only, for templates have no word for it.</param>
    public async IAsyncEnumerable<AnswerPiece> PiecesAsync(bool oneToolCall = false)
    {
        await using (pieces)
        {
            do yield return oneToolCall ? WithOneCall(pieces.Current) : pieces.Current;
            while (await pieces.MoveNextAsync());
        }
    }

    private static AnswerPiece WithOneCall(AnswerPiece next) =>
        next with { Piece = next.Piece with { ToolCalls = [.. next.Piece.ToolCalls.Where(call => call.Index == 0)] } };

    private static async IAsyncEnumerable<AnswerPiece> OneAsync(
        ModelRouter router, GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var piece in router.GenerateAsync(request, cancellationToken)) yield return new(0, piece);
    }

    private static async IAsyncEnumerable<AnswerPiece> TogetherAsync(
        ModelRouter router, IReadOnlyList<GenerationRequest> requests, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var life = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var merged = Channel.CreateBounded<AnswerPiece>(requests.Count); // who reads slowly slows the generation
        var writing = WriteAllAsync(router, requests, merged.Writer, life.CancelAsync, life.Token);
        try
        {
            await foreach (var piece in merged.Reader.ReadAllAsync(cancellationToken)) yield return piece;
        }
        finally
        {
            await life.CancelAsync();
            await writing;
        }
    }

    /// <summary>Never fails: how it ended is told through the channel.</summary>
    private static async Task WriteAllAsync(
        ModelRouter router, IReadOnlyList<GenerationRequest> requests, ChannelWriter<AnswerPiece> merged, Func<Task> cancel, CancellationToken cancellationToken)
    {
        try
        {
            await Task.WhenAll(requests.Select((request, index) => WriteAsync(router, request, index, merged, cancel, cancellationToken)));
            merged.Complete();
        }
        catch (Exception e)
        {
            merged.TryComplete(e);
        }
    }

    private static async Task WriteAsync(
        ModelRouter router, GenerationRequest request, int index, ChannelWriter<AnswerPiece> merged, Func<Task> cancel, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var piece in router.GenerateAsync(request, cancellationToken)) await merged.WriteAsync(new(index, piece), cancellationToken);
        }
        catch (Exception e)
        {
            merged.TryComplete(e); // the first failure is the answer's; the others end with it
            await cancel();
            throw;
        }
    }
}
