using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// One pooled vector for each input. One context, one thread; every step takes inputs from all calls in turn, as many as fit, so that a call
/// with many does not keep one with few waiting.
/// </summary>
internal sealed class PooledEngine : IAsyncDisposable
{
    private readonly EmbeddingOptions options;
    private readonly LlamaContext context;
    private readonly LlamaVocabulary vocabulary;
    private readonly ILogger logger;
    private readonly int width;

    // Under the gate.
    private readonly Lock gate = new();
    private readonly AutoResetEvent wake = new(false);
    private readonly LinkedList<Call> calls = []; // with inputs that are not computed yet
    private readonly TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? closed;
    private EngineStatistics totals = new();

    /// <param name="width">Numbers of a vector.</param>
    public PooledEngine(LlamaModel model, int width, EmbeddingOptions options, ILogger? logger)
    {
        var errors = options.Errors();
        if (errors.Count > 0) throw new ArgumentException(string.Join("; ", errors), nameof(options));
        this.options = options;
        this.width = width;
        this.logger = logger ?? NullLogger.Instance;
        vocabulary = model.Vocabulary;
        ContextSize = Math.Min(options.BatchTokens, model.ContextLength);
        // llama.cpp plans for a batch with as many tokens of each sequence, and asserts that there are no fewer outputs than tokens.
        var batch = (options.BatchTokens + options.Slots - 1) / options.Slots * options.Slots;
        context = new LlamaContext(model, new ContextShape(
            batch, options.Slots, batch, batch, options.Threads, GgmlType.F16, FlashAttention: true, model.Pooling));
        new Thread(Run) { IsBackground = true, Name = "llama embeddings" }.Start();
    }

    public int ContextSize { get; }

    public long ContextMemory => context.Memory;

    public EngineStatistics Statistics
    {
        get
        {
            lock (gate) return totals with { Queued = calls.Sum(call => call.Waiting), QueuedTokens = calls.Sum(call => call.WaitingTokens) };
        }
    }

    public T WhileAlive<T>(Func<T> call) => context.WhileAlive(call);

    /// <returns>(inputs, width)</returns>
    public async Task<float[][]> RunAsync(IReadOnlyList<int[]> inputs, CancellationToken cancellationToken)
    {
        inputs = [.. inputs.Select(int[] (input) => [.. input])]; // the caller's may change once they are checked
        foreach (var input in inputs)
        {
            if (input.Length == 0) throw new ArgumentException("An input has no tokens.", nameof(inputs));
            if (input.Length > ContextSize) throw new PromptTooLongException(input.Length, ContextSize, forCompletion: 0);
            var unknown = Array.FindIndex(input, token => (uint)token >= (uint)vocabulary.Size);
            if (unknown >= 0)
                throw new ArgumentException($"An input has the token {input[unknown]}: the vocabulary has 0 to {vocabulary.Size - 1}.", nameof(inputs));
        }
        cancellationToken.ThrowIfCancellationRequested();
        var call = new Call(inputs);
        if (!Enqueue(call)) return [];
        await using var registration = cancellationToken.UnsafeRegister(_ => Cancel(call, cancellationToken), null).ConfigureAwait(false);
        return await call.Result.ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            closed ??= new ObjectDisposedException(nameof(PooledEngine), "The engine was stopped.");
            wake.Set();
        }
        await stopped.Task.ConfigureAwait(false);
        context.Dispose();
        wake.Dispose();
    }

    private bool Enqueue(Call call)
    {
        lock (gate)
        {
            if (closed is not null) throw closed;
            if (call.Waiting == 0) return false;
            var queued = calls.Sum(other => other.Waiting);
            if (queued + call.Waiting > options.QueueLength) throw new EngineBusyException(totals.Active, queued, options.QueueLength);
            calls.AddLast(call);
            wake.Set();
            return true;
        }
    }

    private void Cancel(Call call, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            calls.Remove(call);
            if (call.Cancel(cancellationToken)) totals = totals with { Cancelled = totals.Cancelled + call.Count };
        }
    }

    private void Run()
    {
        try
        {
            while (Next() is { } step)
            {
                if (step.Count > 0) Compute(step);
                else wake.WaitOne();
            }
        }
        catch (Exception exception)
        {
            logger.EngineFailed(exception, calls.Count);
            lock (gate) closed ??= new GgmlException("The engine failed and was stopped.", exception);
        }
        lock (gate)
        {
            foreach (var call in calls) call.Fail(closed!);
            totals = totals with { Failed = totals.Failed + calls.Sum(call => call.Count), Active = 0 };
            calls.Clear();
        }
        stopped.SetResult();
    }

    /// <returns>The inputs of the next step; null at the engine's end.</returns>
    private List<(Call Call, int Index)>? Next()
    {
        lock (gate)
        {
            if (closed is not null) return null;
            var step = new List<(Call, int)>();
            var room = options.BatchTokens;
            while (step.Count < options.Slots && calls.First is { } first && first.Value.NextLength <= room)
            {
                var call = first.Value;
                room -= call.NextLength;
                step.Add((call, call.Take()));
                calls.RemoveFirst();
                if (call.Waiting > 0) calls.AddLast(call);
            }
            totals = totals with { Active = step.Count };
            return step;
        }
    }

    private void Compute(List<(Call Call, int Index)> step)
    {
        GgmlException? error = null;
        context.Clear();
        for (var sequence = 0; sequence < step.Count; sequence++)
        {
            var tokens = step[sequence].Call.Inputs[step[sequence].Index];
            for (var i = 0; i < tokens.Length; i++) context.Batch.Add(tokens[i], i, sequence, output: true);
        }
        var read = context.Batch.Count;
        try
        {
            context.Decode();
            for (var sequence = 0; sequence < step.Count; sequence++)
                step[sequence].Call.Set(step[sequence].Index, context.Embedding(sequence, width).ToArray());
        }
        catch (GgmlException exception)
        {
            logger.StepFailed(exception, read, step.Count);
            error = exception;
        }
        lock (gate)
        {
            if (error is not null)
                foreach (var (call, _) in step)
                {
                    calls.Remove(call);
                    call.Fail(error);
                }
            totals = totals with
            {
                Active = 0,
                Steps = totals.Steps + 1,
                PromptTokens = totals.PromptTokens + read,
                Completed = totals.Completed + (error is null ? step.Count : 0),
                Failed = totals.Failed + (error is null ? 0 : step.Count),
            };
        }
    }

    /// <summary>The inputs of one caller.</summary>
    private sealed class Call(IReadOnlyList<int[]> inputs)
    {
        private readonly TaskCompletionSource<float[][]> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly float[][] vectors = new float[inputs.Count][];
        private int next;
        private int computed;

        public IReadOnlyList<int[]> Inputs => inputs;

        public int Count => inputs.Count;

        public int Waiting => inputs.Count - next;

        public long WaitingTokens => inputs.Skip(next).Sum(input => (long)input.Length);

        public int NextLength => inputs[next].Length;

        public Task<float[][]> Result => done.Task;

        public int Take() => next++;

        public void Set(int index, float[] vector)
        {
            vectors[index] = vector;
            if (++computed == inputs.Count) done.TrySetResult(vectors);
        }

        public void Fail(Exception error) => done.TrySetException(error);

        public bool Cancel(CancellationToken cancellationToken) => done.TrySetCanceled(cancellationToken);
    }
}
