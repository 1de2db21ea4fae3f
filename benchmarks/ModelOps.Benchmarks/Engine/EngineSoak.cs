using System.Collections.Concurrent;
using System.Diagnostics;
using ModelOps.Ggml;

namespace ModelOps.Benchmarks.Engine;

/// <param name="Outcomes">How many requests ended how.</param>
/// <param name="Errors">Those that nobody planted.</param>
/// <param name="StuckSlots">Slots and queue places that are not free at the end.</param>
/// <param name="MemoryBefore">Resident bytes after a quarter of the time, when caches and the runtime have grown to their size.</param>
/// <param name="MemoryAfter">Resident bytes at the end.</param>
internal sealed record SoakReport(
    IReadOnlyDictionary<string, int> Outcomes, IReadOnlyList<string> Errors, int StuckSlots, long MemoryBefore, long MemoryAfter);

/// <summary>Mixed load on one engine: short, long, constrained, cancelled and malformed requests, while adapters come and go.</summary>
internal sealed class EngineSoak(LlamaModel model, string[] adapters)
{
    private const int Clients = 12;
    private const int Slots = 4;

    private readonly ConcurrentDictionary<string, int> outcomes = new();
    private readonly ConcurrentQueue<string> errors = new();

    public async Task<SoakReport> RunAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        await using var engine = new BatchingEngine(
            model, new EngineOptions { Slots = Slots, QueueLength = 6, BatchTokens = 64, ContextSize = Math.Min(256, model.ContextLength) });
        await engine.LoadAdapterAsync("a", adapters[0], cancellationToken);
        var clock = Stopwatch.StartNew();
        var clients = Enumerable.Range(0, Clients).Select(seed => Task.Run(() => SendAsync(engine, new Random(seed), () => clock.Elapsed < time, cancellationToken), cancellationToken));
        var all = Task.WhenAll([.. clients, SwitchAsync(engine, () => clock.Elapsed < time, cancellationToken)]);
        await Task.WhenAny(all, Task.Delay(time / 4, cancellationToken));
        var before = Resident();
        await all;
        var after = Resident();

        // Whoever left has left by the next steps: as many as there are slots run at once.
        await Task.WhenAll(Enumerable.Range(0, Slots).Select(_ => ReadAsync(engine, new GenerationRequest { Prompt = [5], MaxTokens = 2 }, null, cancellationToken)));
        var end = engine.Statistics;
        return new SoakReport(new SortedDictionary<string, int>(outcomes), [.. errors], end.Active + end.Queued, before, after);
    }

    private async Task SendAsync(BatchingEngine engine, Random random, Func<bool> goesOn, CancellationToken cancellationToken)
    {
        while (goesOn())
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (kind, request, stopAfter) = Next(engine, random);
            var outcome = await TryAsync(engine, request, stopAfter, cancellationToken);
            outcomes.AddOrUpdate($"{kind}: {outcome}", 1, (_, count) => count + 1);
            if (!IsPlanted(kind, outcome)) errors.Enqueue($"{kind}: {outcome}");
        }
    }

    private static bool IsPlanted(string kind, string outcome) => outcome switch
    {
        nameof(EngineBusyException) => true,
        nameof(AdapterNotFoundException) => kind == "adapter",
        nameof(OperationCanceledException) => kind == "cancelled",
        nameof(ArgumentException) or nameof(PromptTooLongException) => kind == "malformed",
        "done" => kind != "malformed",
        _ => false,
    };

    private (string Kind, GenerationRequest Request, int? StopAfter) Next(BatchingEngine engine, Random random)
    {
        var request = new GenerationRequest
        {
            Prompt = Tokens(random, random.Next(1, engine.ContextSize / 2)),
            MaxTokens = random.Next(1, 12),
            Priority = (RequestPriority)random.Next(3),
            TopLogprobs = random.Next(4) == 0 ? random.Next(5) : null,
            Sampling = new()
            {
                Temperature = random.Next(2) * random.NextSingle(),
                TopK = random.Next(2) * 40,
                TopP = 0.9f,
                RepeatPenalty = 1 + (random.Next(2) * 0.2f),
                Seed = (uint)random.Next(),
            },
        };
        return random.Next(7) switch
        {
            0 => ("long", request with { MaxTokens = 100 }, null),
            1 => ("adapter", request with { Adapter = random.Next(2) == 0 ? "a" : "b" }, null),
            2 => ("cancelled", request with { MaxTokens = 100 }, random.Next(6)),
            3 => ("constrained", request with { Grammar = "root ::= [a-z]{1,8} (\",\" [0-9]{1,3})*" }, null),
            4 => ("malformed", Malformed(engine, request, random), null),
            _ => ("short", request, null),
        };
    }

    private GenerationRequest Malformed(BatchingEngine engine, GenerationRequest request, Random random) => random.Next(6) switch
    {
        0 => request with { Prompt = [] },
        1 => request with { Prompt = [model.VocabularySize + random.Next(1000)] },
        2 => request with { Prompt = Tokens(random, engine.ContextSize) },
        3 => request with { Grammar = "root ::= [a-" },
        4 => request with { Sampling = request.Sampling with { TopP = float.NaN } },
        _ => request with { Stop = [""] },
    };

    private int[] Tokens(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(model.VocabularySize))];

    private static async Task<string> TryAsync(BatchingEngine engine, GenerationRequest request, int? stopAfter, CancellationToken cancellationToken)
    {
        try
        {
            await ReadAsync(engine, request, stopAfter, cancellationToken);
            return "done";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return nameof(OperationCanceledException);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            return exception.GetType().Name;
        }
    }

    private static async Task ReadAsync(BatchingEngine engine, GenerationRequest request, int? stopAfter, CancellationToken cancellationToken)
    {
        using var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (stopAfter == 0) source.CancelAfter(TimeSpan.FromMilliseconds(1));
        await foreach (var _ in engine.GenerateAsync(request, source.Token))
            if (--stopAfter == 0) await source.CancelAsync();
    }

    private async Task SwitchAsync(BatchingEngine engine, Func<bool> goesOn, CancellationToken cancellationToken)
    {
        for (var i = 0; goesOn(); i++)
        {
            await engine.LoadAdapterAsync(i % 3 == 0 ? "b" : "a", adapters[i % adapters.Length], cancellationToken);
            if (i % 5 == 0) engine.UnloadAdapter("b");
            outcomes.AddOrUpdate("adapters switched", 1, (_, count) => count + 1);
            await Task.Delay(20, cancellationToken);
        }
    }

    private static long Resident()
    {
        GC.Collect(); // what is garbage only is no leak
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }
}
