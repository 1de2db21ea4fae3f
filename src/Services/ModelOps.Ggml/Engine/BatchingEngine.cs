using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// Continuous batching: one context, one thread, and in every step a token for each decoding sequence and a chunk of each prompt that is
/// being read. Requests join at the next step, by priority and in order of arrival. A step computes with one adapter: if requests under way
/// have different ones, their steps take turns.
/// </summary>
public sealed class BatchingEngine : IAsyncDisposable
{
    private const int StepsPerTurn = 4;

    private readonly LlamaModel model;
    private readonly LlamaContext context;
    private readonly LlamaVocabulary vocabulary;
    private readonly ILogger logger;
    private readonly TimeProvider time;
    private readonly SamplingBuffer sampling;
    private readonly SlotCache slots;
    private readonly EngineAdapter noAdapter = new(null);
    private readonly PieceDelivery delivery = new();
    private readonly List<Generation> active = []; // in order of arrival; of the engine's thread, which changes it under the gate
    private EngineAdapter turn; // whose step it was, and the how manieth in a row
    private int turnSteps;

    // Under the gate.
    private readonly Lock gate = new();
    private readonly AutoResetEvent wake = new(false);
    private readonly RequestQueue queue;
    private readonly Queue<Action> errands = [];
    private readonly SortedDictionary<string, EngineAdapter> adapters = new(StringComparer.Ordinal);
    private readonly List<EngineAdapter> retired = [];
    private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? closed;
    private EngineStatistics totals = new();

    /// <exception cref="ArgumentException">Options make no sense for this model; the message has all of them.</exception>
    /// <exception cref="InvalidOperationException">The model has no weights loaded, or does not continue texts.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make the context, for example for lack of memory.</exception>
    public BatchingEngine(LlamaModel model, EngineOptions? options = null, ILogger? logger = null, TimeProvider? time = null)
    {
        options ??= new EngineOptions();
        _ = model.Weights; // a model without any is what is wrong, not its options
        if (!model.Generates) throw new InvalidOperationException($"{model.Path} ({model.Description}) does not continue texts.");
        var errors = options.Errors(model.ContextLength);
        if (errors.Count > 0) throw new ArgumentException(string.Join("; ", errors), nameof(options));
        this.model = model;
        this.logger = logger ?? NullLogger.Instance;
        this.time = time ?? TimeProvider.System;
        turn = noAdapter;
        ContextSize = options.ContextSize ?? model.ContextLength;
        vocabulary = model.Vocabulary;
        sampling = new SamplingBuffer(vocabulary.Size);
        queue = new RequestQueue(options.Slots, options.QueueLength, options.QueueTokens);
        context = new LlamaContext(model, new ContextShape(
            ContextSize, options.Slots, options.BatchTokens, options.Slots, options.Threads, GgmlType.F16, options.FlashAttention));
        slots = new SlotCache(context, options.Slots, options.PrefixCache, copies: !model.Recurs);
        // A thread of its own: decoding blocks it for as long as the engine lives.
        new Thread(Run) { IsBackground = true, Name = "llama engine" }.Start();
    }

    /// <summary>Tokens of prompt and completion that a sequence has room for.</summary>
    public int ContextSize { get; }

    /// <summary>Bytes of its context: caches and buffers. The weights are the model's (<see cref="LlamaModel.Size"/>).</summary>
    public long ContextMemory => context.Memory;

    /// <summary>Names of the adapters that requests can use.</summary>
    public IReadOnlyList<string> Adapters
    {
        get
        {
            lock (gate) return [.. adapters.Keys];
        }
    }

    public EngineStatistics Statistics
    {
        get
        {
            lock (gate) return totals with { Active = active.Count, Queued = queue.Count, QueuedTokens = queue.Tokens };
        }
    }

    /// <summary>Versions that were replaced or taken away and have requests under way.</summary>
    internal int RetiredAdapters
    {
        get
        {
            lock (gate) return retired.Count;
        }
    }

    /// <summary>
    /// Loads an adapter, or replaces the one of that name: requests that come from now on use the new one, those under way finish on the one
    /// that they began with, which is freed after the last of them.
    /// </summary>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="GgmlException">It is no LoRA adapter of this model; the message says what differs.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped.</exception>
    public async Task LoadAdapterAsync(string name, string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        await Task.Run(() => AdapterFile.Check(path, model), cancellationToken).ConfigureAwait(false);
        // Between two steps: llama.cpp notes the adapter with the model, where a step may be looking.
        await RunBetweenSteps(() =>
        {
            var loaded = new EngineAdapter(context.LoadAdapter(path));
            lock (gate)
            {
                Retire(name);
                adapters[name] = loaded;
            }
        }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Takes an adapter away; requests under way finish on it.</summary>
    /// <returns>Whether there was one.</returns>
    public bool UnloadAdapter(string name)
    {
        lock (gate)
        {
            wake.Set();
            return Retire(name);
        }
    }

    /// <summary>
    /// Streams a completion. It is queued when the enumeration begins; ending the enumeration early, or cancelling, frees its slot at the
    /// next step. The consumer's pace holds nobody up.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// The request makes no sense; thrown by this call, with everything that is wrong. The grammar's errors are thrown by the enumeration.
    /// </exception>
    /// <exception cref="PromptTooLongException">Thrown by this call.</exception>
    /// <exception cref="AdapterNotFoundException">Thrown by the enumeration.</exception>
    /// <exception cref="EngineBusyException">The queue is full; thrown by the enumeration.</exception>
    /// <exception cref="ObjectDisposedException">The engine was stopped, before or meanwhile; thrown by the enumeration.</exception>
    /// <exception cref="GgmlException">llama.cpp failed, or no token can follow; thrown by the enumeration.</exception>
    public IAsyncEnumerable<GeneratedPiece> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        request = request.Copy();
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
        foreach (var adapter in retired) adapter.Handle?.Dispose();
        wake.Dispose();
    }

    private async IAsyncEnumerable<GeneratedPiece> StreamAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var grammar = request.Grammar is { } text ? context.ParseGrammar(text) : null;
        var sampler = new TokenSampler(request.Sampling, request.Prompt, grammar, sampling);
        var generation = new Generation(request, sampler, delivery, ContextSize, time);
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
        try
        {
            lock (gate)
            {
                if (closed is not null) throw closed;
                generation.Adapter = generation.AdapterName is not { } name ? noAdapter
                    : adapters.TryGetValue(name, out var adapter) ? adapter
                    : throw new AdapterNotFoundException(name);
                queue.Add(generation, active.Count);
                generation.Adapter.Users++;
                wake.Set();
            }
        }
        catch
        {
            generation.Abandon();
            throw;
        }
    }

    private void Cancel(Generation generation)
    {
        lock (gate)
        {
            generation.Cancelled = true;
            if (!queue.Remove(generation)) return;
            generation.Adapter!.Users--;
            totals = totals with { Cancelled = totals.Cancelled + 1 };
        }
        generation.Abandon();
    }

    private bool Retire(string name)
    {
        if (!adapters.Remove(name, out var adapter)) return false;
        retired.Add(adapter);
        return true;
    }

    private async Task RunBetweenSteps(Action errand, CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (closed is not null) throw closed;
            errands.Enqueue(() =>
            {
                if (closed is { } reason) done.SetException(reason);
                else if (cancellationToken.IsCancellationRequested) done.SetCanceled(cancellationToken);
                else Complete(errand, done);
            });
            wake.Set();
        }
        await done.Task.ConfigureAwait(false);
    }

    private static void Complete(Action errand, TaskCompletionSource done)
    {
        try
        {
            errand();
            done.SetResult();
        }
        catch (Exception exception)
        {
            done.SetException(exception);
        }
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
                delivery.Start();
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
            Generation[] all = [.. active, .. queue.Clear()];
            foreach (var generation in all) generation.End(null, closed);
            totals = totals with { Failed = totals.Failed + all.Length };
            active.Clear();
            retired.AddRange(adapters.Values);
            adapters.Clear();
        }
        delivery.Start();
        RunErrands();
        stopped.SetResult();
    }

    /// <summary>Between two steps: frees what was left and gives free slots to those whose turn it is.</summary>
    /// <returns>Whether the engine goes on.</returns>
    private bool Admit()
    {
        RunErrands();
        lock (gate)
        {
            if (closed is not null) return false;
            var cancelled = active.Where(generation => generation.Cancelled).ToArray();
            foreach (var generation in cancelled) Release(generation, null);
            FreeUnusedAdapters();
            var cachedTokens = 0;
            while (!queue.IsEmpty && slots.HasFree)
            {
                var next = queue.Take();
                active.Add(next);
                cachedTokens += next.Start(slots);
            }
            totals = totals with
            {
                Cancelled = totals.Cancelled + cancelled.Length,
                CachedPromptTokens = totals.CachedPromptTokens + cachedTokens,
            };
            return true;
        }
    }

    private void RunErrands()
    {
        while (true)
        {
            Action? errand;
            lock (gate)
            {
                if (!errands.TryDequeue(out errand)) return;
            }
            errand();
        }
    }

    private void FreeUnusedAdapters()
    {
        foreach (var adapter in retired.Where(adapter => adapter.Users == 0).ToArray())
        {
            retired.Remove(adapter);
            slots.Forget(adapter);
            context.SetAdapter(null); // the context must not know a freed one
            adapter.Handle?.Dispose();
        }
    }

    private void Step()
    {
        var group = NextGroup();
        var tokens = 0;
        try
        {
            context.SetAdapter(group[0].Adapter!.Handle);
            var decoding = group.Count(generation => !generation.Prefilling);
            var outputs = FillBatch(group);
            tokens = context.Batch.Count;
            context.Decode();
            var ended = Sample(outputs);
            lock (gate)
            {
                foreach (var (generation, error) in ended) Release(generation, error);
                var failed = ended.Count(end => end.Error is not null);
                totals = totals with
                {
                    Steps = totals.Steps + 1,
                    PromptTokens = totals.PromptTokens + tokens - decoding,
                    CompletionTokens = totals.CompletionTokens + outputs.Count - failed,
                    Completed = totals.Completed + ended.Count - failed,
                    Failed = totals.Failed + failed,
                };
            }
        }
        catch (GgmlException exception)
        {
            // What the cache holds is unknown now: nobody's completion may go on from it.
            logger.StepFailed(exception, tokens, active.Count);
            lock (gate)
            {
                slots.Clear();
                totals = totals with { Failed = totals.Failed + active.Count };
                foreach (var generation in active.ToArray()) Release(generation, exception);
            }
        }
    }

    /// <summary>
    /// The requests of the adapter whose last step is longest ago; of those that had none, of the oldest request's. It keeps its turn for a few
    /// steps, since llama.cpp plans its memory anew at every switch, which takes about as long as a step. Prompts end the turn: their steps
    /// are long.
    /// </summary>
    private List<Generation> NextGroup()
    {
        var group = turnSteps is > 0 and < StepsPerTurn ? active.FindAll(generation => generation.Adapter == turn) : [];
        if (group.Count == 0)
        {
            turn = active.MinBy(generation => generation.Adapter!.LastStep)!.Adapter!;
            turnSteps = 0;
            group = active.FindAll(generation => generation.Adapter == turn);
        }
        turn.LastStep = totals.Steps + 1;
        turnSteps = group.Exists(generation => generation.Prefilling) ? StepsPerTurn : turnSteps + 1;
        return group;
    }

    /// <summary>Decoding sequences first, each with its one token; the rest of the batch is for the prompts.</summary>
    private List<(Generation Generation, int Index)> FillBatch(List<Generation> group)
    {
        var outputs = new List<(Generation, int)>(group.Count);
        var prompts = new List<Generation>();
        foreach (var generation in group)
        {
            if (generation.Prefilling) prompts.Add(generation);
            else if (generation.Fill(context.Batch, 1) is { } index) outputs.Add((generation, index));
        }
        if (prompts.Count == 0) return outputs;

        var shares = BatchShares.Divide(
            context.Batch.Capacity - context.Batch.Count, [.. prompts.Select(generation => generation.UnreadPrompt)]);
        for (var i = 0; i < prompts.Count; i++)
            if (prompts[i].Fill(context.Batch, shares[i]) is { } index) outputs.Add((prompts[i], index));
        return outputs;
    }

    /// <returns>Those that ended, and why if not as they should.</returns>
    private List<(Generation Generation, GgmlException? Error)> Sample(List<(Generation Generation, int Index)> outputs)
    {
        var ended = new List<(Generation, GgmlException?)>();
        foreach (var (generation, index) in outputs)
        {
            var logits = context.Logits(index);
            try
            {
                if (generation.Sample(logits, vocabulary)) ended.Add((generation, null));
            }
            catch (GgmlException exception)
            {
                ended.Add((generation, exception));
            }
        }
        return ended;
    }

    private void Release(Generation generation, Exception? error)
    {
        active.Remove(generation);
        generation.Adapter!.Users--;
        generation.End(slots, error);
    }
}
