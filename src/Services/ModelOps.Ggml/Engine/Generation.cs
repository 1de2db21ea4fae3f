using System.Threading.Channels;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// A request on its way. The engine's thread moves it on; consumers only read <see cref="Pieces"/> and set <see cref="Cancelled"/>.
/// </summary>
internal sealed class Generation
{
    private readonly GenerationRequest request;
    private readonly TokenSampler sampler;
    private readonly PieceDelivery delivery;
    private readonly TimeProvider time;
    private readonly int maxTokens;
    private readonly CompletionText text;
    private readonly Channel<GeneratedPiece> pieces;
    private readonly List<int> unsent = [];
    private readonly List<TokenLogprob> unsentLogprobs = [];
    private readonly long queuedAt;
    private long startedAt;
    private long firstTokenAt;
    private Slot? slot;
    private volatile bool cancelled;
    private int lastToken;
    private int sampled;
    private int cached;

    /// <param name="sampler">Owned by the generation from now on.</param>
    public Generation(GenerationRequest request, TokenSampler sampler, PieceDelivery delivery, int contextSize, TimeProvider time)
    {
        this.request = request;
        this.sampler = sampler;
        this.delivery = delivery;
        this.time = time;
        maxTokens = Math.Min(request.MaxTokens ?? int.MaxValue, contextSize - request.Prompt.Length);
        text = new CompletionText(request.Stop);
        // Room for every piece there can be: writing never waits, so that a slow consumer holds nobody up.
        pieces = Channel.CreateBounded<GeneratedPiece>(new BoundedChannelOptions(maxTokens) { SingleReader = true, SingleWriter = true });
        queuedAt = time.GetTimestamp();
        Turn = queuedAt + (Patience(request.Priority) * time.TimestampFrequency);
    }

    public ChannelReader<GeneratedPiece> Pieces => pieces.Reader;

    public int PromptTokens => request.Prompt.Length;

    public string? AdapterName => request.Adapter;

    /// <summary>Set when it is queued.</summary>
    public EngineAdapter? Adapter { get; set; }

    /// <summary>When it could have been queued with high priority and be served at the same time.</summary>
    public long Turn { get; }

    /// <summary>In order of arrival.</summary>
    public long Number { get; set; }

    public bool Cancelled
    {
        get => cancelled;
        set => cancelled = value;
    }

    public bool Prefilling => slot!.Tokens.Count < request.Prompt.Length;

    public int UnreadPrompt => request.Prompt.Length - slot!.Tokens.Count;

    /// <returns>How many tokens of the prompt the cache has.</returns>
    public int Start(SlotCache slots)
    {
        startedAt = time.GetTimestamp();
        slot = slots.Take(request.Prompt, Adapter!);
        return cached = slot.Tokens.Count;
    }

    /// <summary>Adds the next tokens to the batch.</summary>
    /// <returns>The index whose logits give the next token; null while the prompt is not read to its end.</returns>
    public int? Fill(TokenBatch batch, int count)
    {
        if (!Prefilling) return Add(batch, lastToken, output: true);
        int? output = null;
        for (var i = 0; i < count; i++)
        {
            var last = UnreadPrompt == 1;
            var index = Add(batch, request.Prompt[slot!.Tokens.Count], last);
            if (last) output = index;
        }
        return output;
    }

    /// <returns>Whether that was the last token.</returns>
    /// <exception cref="GgmlException">Grammar and bias leave no token.</exception>
    public bool Sample(ReadOnlySpan<float> logits, LlamaVocabulary vocabulary)
    {
        if (sampler.Sample(logits) is not { } token) return FinishWithoutToken(vocabulary);
        lastToken = token;
        if (sampled++ == 0) firstTokenAt = time.GetTimestamp();
        unsent.Add(token);
        if (request.TopLogprobs is { } top) unsentLogprobs.Add(Logprobs.Of(logits, token, top, vocabulary));
        if (vocabulary.IsEndOfGeneration(token)) return Finish(text.Flush(), FinishReason.Stop);

        var released = text.Append(vocabulary.Bytes(token, request.ShowControl));
        if (text.Stopped) return Finish(released, FinishReason.Stop);
        if (sampled == maxTokens) return Finish(released + text.Flush(), FinishReason.Length);
        if (released.Length > 0) Send(new GeneratedPiece(released, [.. unsent]));
        return false;
    }

    /// <summary>Frees what it holds; its pieces end, by <paramref name="error"/> if there is one.</summary>
    public void End(SlotCache? slots, Exception? error)
    {
        if (slot is not null) slots?.Return(slot);
        sampler.Dispose();
        delivery.AddEnd(pieces.Writer, error);
    }

    /// <summary>Ends one that never had a slot.</summary>
    public void Abandon()
    {
        sampler.Dispose();
        pieces.Writer.TryComplete();
    }

    private static long Patience(RequestPriority priority) => priority switch
    {
        RequestPriority.High => 0,
        RequestPriority.Low => 60,
        _ => 10,
    };

    private int Add(TokenBatch batch, int token, bool output)
    {
        var index = batch.Add(token, slot!.Tokens.Count, slot.Index, output);
        slot.Tokens.Add(token);
        return index;
    }

    // A grammar that is at its end leaves the end of generation only, if the vocabulary has that.
    private bool FinishWithoutToken(LlamaVocabulary vocabulary) =>
        request.Grammar is not null && !vocabulary.HasEndOfGeneration && sampled > 0
            ? Finish(text.Flush(), FinishReason.Stop)
            : throw new GgmlException(
                $"No token can follow the {sampled} sampled ones: grammar and logit bias exclude all, or the model's logits are no numbers.");

    private bool Finish(string rest, FinishReason reason)
    {
        var now = time.GetTimestamp();
        Send(new GeneratedPiece(rest, [.. unsent], reason, new GenerationUsage(
            request.Prompt.Length,
            sampled,
            cached,
            time.GetElapsedTime(queuedAt, startedAt),
            time.GetElapsedTime(startedAt, firstTokenAt),
            time.GetElapsedTime(firstTokenAt, now))));
        return true;
    }

    private void Send(GeneratedPiece piece)
    {
        delivery.Add(pieces.Writer, unsentLogprobs.Count == 0 ? piece : piece with { Logprobs = [.. unsentLogprobs] });
        unsent.Clear();
        unsentLogprobs.Clear();
    }
}
