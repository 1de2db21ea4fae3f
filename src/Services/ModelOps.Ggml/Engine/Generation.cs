using System.Threading.Channels;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// A request on its way. The engine's thread moves it on; consumers only read <see cref="Pieces"/> and set <see cref="Cancelled"/>.
/// </summary>
internal sealed class Generation
{
    private readonly GenerationRequest request;
    private readonly int maxTokens;
    private readonly CompletionText text;
    private readonly Channel<GeneratedPiece> pieces;
    private readonly List<int> unsent = [];
    private SamplerHandle? sampler;
    private volatile bool cancelled;
    private int lastToken;
    private int sampled;

    public Generation(GenerationRequest request, int contextSize)
    {
        this.request = request;
        maxTokens = Math.Min(request.MaxTokens ?? int.MaxValue, contextSize - request.Prompt.Length);
        text = new CompletionText(request.Stop);
        // Room for every piece there can be: writing never waits, so that a slow consumer holds nobody up.
        pieces = Channel.CreateBounded<GeneratedPiece>(new BoundedChannelOptions(maxTokens) { SingleReader = true, SingleWriter = true });
    }

    public ChannelReader<GeneratedPiece> Pieces => pieces.Reader;

    public bool Cancelled
    {
        get => cancelled;
        set => cancelled = value;
    }

    public int Slot { get; private set; }

    /// <summary>Tokens in the cache, which is also the position of the next one.</summary>
    public int Position { get; private set; }

    public bool Prefilling => Position < request.Prompt.Length;

    public int UnreadPrompt => Math.Max(0, request.Prompt.Length - Position);

    public void Start(int slot)
    {
        Slot = slot;
        sampler = SamplerChain.Create(request.Sampling);
    }

    /// <summary>Adds the next tokens to the batch.</summary>
    /// <returns>The index whose logits give the next token; null while the prompt is not read to its end.</returns>
    public int? Fill(TokenBatch batch, int count)
    {
        if (!Prefilling) return batch.Add(lastToken, Position++, Slot, output: true);
        int? output = null;
        for (var i = 0; i < count; i++)
        {
            var last = Position == request.Prompt.Length - 1;
            var index = batch.Add(request.Prompt[Position], Position, Slot, last);
            if (last) output = index;
            Position++;
        }
        return output;
    }

    /// <returns>Whether that was the last token.</returns>
    public bool Sample(LlamaContext context, LlamaVocabulary vocabulary, int index)
    {
        lastToken = context.Sample(sampler!, index);
        sampled++;
        unsent.Add(lastToken);
        if (vocabulary.IsEndOfGeneration(lastToken)) return Finish(text.Flush(), FinishReason.Stop);

        var released = text.Append(vocabulary.Bytes(lastToken, renderControl: false));
        if (text.Stopped) return Finish(released, FinishReason.Stop);
        if (sampled == maxTokens) return Finish(released + text.Flush(), FinishReason.Length);
        if (released.Length > 0) Send(new GeneratedPiece(released, [.. unsent]));
        return false;
    }

    /// <summary>Frees what it holds; its pieces end, by <paramref name="error"/> if there is one.</summary>
    public void End(Exception? error)
    {
        sampler?.Dispose();
        pieces.Writer.TryComplete(error);
    }

    private bool Finish(string rest, FinishReason reason)
    {
        Send(new GeneratedPiece(rest, [.. unsent], reason, new GenerationUsage(request.Prompt.Length, sampled, 0, default, default, default)));
        return true;
    }

    private void Send(GeneratedPiece piece)
    {
        pieces.Writer.TryWrite(piece);
        unsent.Clear();
    }
}
