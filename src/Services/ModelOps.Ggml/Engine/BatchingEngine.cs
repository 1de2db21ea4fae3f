using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// Continuous batching: one context, one thread, and in every step a token for each decoding sequence and a chunk of each prompt that is
/// being read. Requests join at the next step in order of arrival.
/// </summary>
public sealed class BatchingEngine : IAsyncDisposable
{
    private readonly EngineOptions options;
    private readonly LlamaContext context;
    private readonly LlamaVocabulary vocabulary;
    private readonly ILogger logger;
    private readonly Lock gate = new();
    private readonly AutoResetEvent wake = new(false);
    private readonly LinkedList<Generation> queue = [];
    private readonly List<Generation> active = []; // in order of arrival; of the engine's thread, which changes it under the gate
    private readonly Stack<int> freeSlots;
    private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? closed;
    private EngineStatistics totals = new();

    /// <exception cref="ArgumentException">Options make no sense for this model; the message has all of them.</exception>
    /// <exception cref="InvalidOperationException">The model has no weights loaded, or does not continue texts.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make the context, for example for lack of memory.</exception>
    public BatchingEngine(LlamaModel model, EngineOptions? options = null, ILogger? logger = null)
    {
        this.options = options ?? new EngineOptions();
        this.logger = logger ?? NullLogger.Instance;
        _ = model.Weights; // a model without any is what is wrong, not its options
        var errors = this.options.Errors(model.ContextLength);
        if (errors.Count > 0) throw new ArgumentException(string.Join("; ", errors), nameof(options));
        ContextSize = this.options.ContextSize ?? model.ContextLength;
        vocabulary = model.Vocabulary;
        context = new LlamaContext(model, new ContextShape(
            ContextSize, this.options.Slots, this.options.BatchTokens, this.options.Slots, this.options.Threads, GgmlType.F16, FlashAttention: true));
        freeSlots = new Stack<int>(Enumerable.Range(0, this.options.Slots).Reverse());
        // A thread of its own: decoding blocks it for as long as the engine lives.
        new Thread(Run) { IsBackground = true, Name = "llama engine" }.Start();
    }

    /// <summary>Tokens of prompt and completion that a sequence has room for.</summary>
    public int ContextSize { get; }

    public EngineStatistics Statistics
    {
        get
        {
            lock (gate) return totals with { Active = active.Count, Queued = queue.Count };
        }
    }

    /// <summary>Bytes of its context: caches and buffers. The weights are the model's (<see cref="LlamaModel.Size"/>).</summary>
    public long ContextMemory => throw new NotSupportedException();

    /// <summary>Names of the adapters that requests can use.</summary>
    public IReadOnlyList<string> Adapters => throw new NotSupportedException();

    /// <summary>
    /// Loads an adapter, or replaces the one of that name: requests that come from now on use the new one, those under way finish on the one
    /// that they began with, which is freed after the last of them.
    /// </summary>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgmlException">It is no LoRA adapter of this model; the message says what differs.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped.</exception>
    public Task LoadAdapterAsync(string name, string path, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Takes an adapter away; requests under way finish on it.</summary>
    /// <returns>Whether there was one.</returns>
    public bool UnloadAdapter(string name) => throw new NotSupportedException();

    /// <summary>
    /// Streams a completion. It is queued when the enumeration begins; ending the enumeration early, or cancelling, frees its slot at the
    /// next step. The consumer's pace holds nobody up.
    /// </summary>
    /// <exception cref="ArgumentException">The request makes no sense; thrown by this call, with everything that is wrong.</exception>
    /// <exception cref="PromptTooLongException">Thrown by this call.</exception>
    /// <exception cref="AdapterNotFoundException">Thrown by the enumeration.</exception>
    /// <exception cref="EngineBusyException">The queue is full; thrown by the enumeration.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped, before or meanwhile; thrown by the enumeration.</exception>
    /// <exception cref="GgmlException">llama.cpp failed; thrown by the enumeration.</exception>
    public IAsyncEnumerable<GeneratedPiece> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        if (request.Prompt.Length >= ContextSize) throw new PromptTooLongException(request.Prompt.Length, ContextSize);
        var errors = request.Errors(vocabulary.Size);
        if (errors.Count > 0) throw new ArgumentException(string.Join("; ", errors), nameof(request));
        return StreamAsync(request, cancellationToken);
    }

    /// <summary>Ends all requests with an <see cref="ObjectDisposedException"/> and waits for the step under way.</summary>
    public async ValueTask DisposeAsync()
    {
        Close(new ObjectDisposedException(nameof(BatchingEngine), "The engine was stopped."));
        await stopped.Task.ConfigureAwait(false);
        context.Dispose();
        wake.Dispose();
    }

    private async IAsyncEnumerable<GeneratedPiece> StreamAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var generation = new Generation(request, ContextSize);
        Enqueue(generation);
        try
        {
            // Cancelled between two reads, too: a consumer may be busy with a piece for long.
            await using var registration = cancellationToken.UnsafeRegister(_ => Cancel(generation), null).ConfigureAwait(false);
            await foreach (var piece in generation.Pieces.ReadAllAsync(cancellationToken).ConfigureAwait(false)) yield return piece;
            cancellationToken.ThrowIfCancellationRequested();
        }
        finally
        {
            Cancel(generation);
        }
    }

    private void Enqueue(Generation generation)
    {
        lock (gate)
        {
            if (closed is not null) throw closed;
            if (active.Count + queue.Count >= options.Slots + options.QueueLength) throw new EngineBusyException(active.Count, queue.Count, options.QueueLength);
            queue.AddLast(generation);
            wake.Set();
        }
    }

    private void Cancel(Generation generation)
    {
        lock (gate)
        {
            generation.Cancelled = true;
            if (!queue.Remove(generation)) return;
            totals = totals with { Cancelled = totals.Cancelled + 1 };
        }
        generation.End(null);
    }

    private void Close(Exception reason)
    {
        lock (gate)
        {
            if (closed is not null) return;
            closed = reason;
            wake.Set();
        }
    }

    private void Run()
    {
        try
        {
            while (Admit())
            {
                if (active.Count > 0) Step();
                else wake.WaitOne();
            }
        }
        catch (Exception exception)
        {
            logger.EngineFailed(exception, active.Count + queue.Count);
            Close(new GgmlException("The engine failed and was stopped.", exception));
        }
        lock (gate)
        {
            foreach (var generation in active.Concat(queue)) generation.End(closed);
            totals = totals with { Failed = totals.Failed + active.Count + queue.Count };
            active.Clear();
            queue.Clear();
        }
        stopped.SetResult();
    }

    /// <summary>Between two steps: frees the slots of those who left and gives free slots to those who waited longest.</summary>
    /// <returns>Whether the engine goes on.</returns>
    private bool Admit()
    {
        lock (gate)
        {
            if (closed is not null) return false;
            var cancelled = active.Where(generation => generation.Cancelled).ToArray();
            foreach (var generation in cancelled) Release(generation, null);
            totals = totals with { Cancelled = totals.Cancelled + cancelled.Length };
            while (queue.First is { } first && freeSlots.TryPop(out var slot))
            {
                queue.RemoveFirst();
                active.Add(first.Value);
                first.Value.Start(slot);
            }
            return true;
        }
    }

    private void Step()
    {
        var prompts = active.Where(generation => generation.Prefilling).ToArray();
        var outputs = FillBatch(prompts);
        var tokens = context.Batch.Count;
        var promptTokens = tokens - (active.Count - prompts.Length);
        try
        {
            context.Decode();
            var finished = outputs.Where(output => output.Generation.Sample(context, vocabulary, output.Index)).ToArray();
            lock (gate)
            {
                foreach (var (generation, _) in finished) Release(generation, null);
                totals = totals with
                {
                    Steps = totals.Steps + 1,
                    PromptTokens = totals.PromptTokens + promptTokens,
                    CompletionTokens = totals.CompletionTokens + outputs.Count,
                    Completed = totals.Completed + finished.Length,
                };
            }
        }
        catch (GgmlException exception)
        {
            // What the cache holds is unknown now: nobody's completion may go on from it.
            logger.StepFailed(exception, tokens, active.Count);
            lock (gate)
            {
                totals = totals with { Failed = totals.Failed + active.Count };
                foreach (var generation in active.ToArray()) Release(generation, exception);
            }
        }
    }

    /// <summary>Decoding sequences first, each with its one token; the rest of the batch is for the prompts.</summary>
    private List<(Generation Generation, int Index)> FillBatch(Generation[] prompts)
    {
        var outputs = new List<(Generation, int)>(active.Count);
        foreach (var generation in active.Where(generation => !generation.Prefilling))
            if (generation.Fill(context.Batch, 1) is { } index) outputs.Add((generation, index));

        var shares = BatchShares.Divide(
            context.Batch.Capacity - context.Batch.Count, [.. prompts.Select(generation => generation.UnreadPrompt)]);
        for (var i = 0; i < prompts.Length; i++)
            if (prompts[i].Fill(context.Batch, shares[i]) is { } index) outputs.Add((prompts[i], index));
        return outputs;
    }

    private void Release(Generation generation, Exception? error)
    {
        context.RemoveSequence(generation.Slot);
        active.Remove(generation);
        freeSlots.Push(generation.Slot);
        generation.End(error);
    }
}
