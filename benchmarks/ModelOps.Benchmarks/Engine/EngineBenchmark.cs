using System.CommandLine;
using System.Diagnostics;
using ModelOps.Ggml;
using ModelOps.Ggml.Native;
using ModelOps.Services.Tests.Ggml;

namespace ModelOps.Benchmarks.Engine;

/// <summary>The batching engine beside a bare loop over libllama, the prefix cache, mixed adapters, and the load of a model.</summary>
internal static class EngineBenchmark
{
    private const int PromptTokens = 16;
    private const int PrefixTokens = 512;
    private const int Adapters = 4;

    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "The bundled model's folder.", DefaultValueFactory = _ => "samples/models/wordsmith" };
        var folder = new Option<string?>("--folder") { Description = "Where GGUF files are kept for the next run [default: a temporary folder]." };
        var steps = new Option<int>("--steps") { Description = "Tokens of each completion.", DefaultValueFactory = _ => 64 };
        var rounds = new Option<int>("--rounds") { Description = "Runs of which the median counts.", DefaultValueFactory = _ => 5 };
        var threads = new Option<int>("--threads") { Description = "Threads that compute.", DefaultValueFactory = _ => EngineOptions.DefaultThreads };
        var only = new Option<string?>("--case") { Description = "One of 'bundled Q8_0', '135M Q8_0' and '135M Q4_0' [default: all]." };
        var command = new Command("engine", "Tokens per second of the engine beside a bare loop on libllama; prefix cache, adapters, load.")
        {
            model, folder, steps, rounds, threads, only,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var kept = parsed.GetValue(folder);
            var files = Directory.CreateDirectory(kept ?? Path.Combine(Path.GetTempPath(), $"modelops-engine-{Guid.NewGuid():N}")).FullName;
            try
            {
                var run = new Run(parsed.GetValue(steps), parsed.GetValue(rounds), parsed.GetValue(threads), cancellationToken);
                Console.WriteLine($"{run.Steps} tokens, median of {run.Rounds}, {run.Threads} threads of {Environment.ProcessorCount} CPUs, .NET {Environment.Version}");
                var cases = new (string Name, Func<string> File)[]
                {
                    ("bundled Q8_0", () => BenchmarkModels.Bundled(parsed.GetValue(model)!, files, QuantizationType.Q8_0)),
                    ("135M Q8_0", () => BenchmarkModels.SmolLm(files, QuantizationType.Q8_0)),
                    ("135M Q4_0", () => BenchmarkModels.SmolLm(files, QuantizationType.Q4_0)),
                };
                foreach (var (name, file) in cases.Where(one => parsed.GetValue(only) is null || parsed.GetValue(only) == one.Name)) await MeasureAsync(name, file(), run);
                return 0;
            }
            finally
            {
                if (kept is null) Directory.Delete(files, recursive: true);
            }
        });
        return command;
    }

    private static async Task MeasureAsync(string name, string path, Run run)
    {
        await LoadAsync(name, path, run);
        using var model = LlamaModel.Load(path);
        foreach (var sequences in new[] { 1, 8, 32 }) await BesideBareLoopAsync(name, model, sequences, run);
        await PrefixAsync(name, model, run);
        await AdaptersAsync(name, model, run);
    }

    private static async Task LoadAsync(string name, string path, Run run)
    {
        var times = new List<double>();
        for (var round = 0; round <= run.Rounds; round++)
        {
            var clock = Stopwatch.StartNew();
            using var model = LlamaModel.Load(path);
            await using var engine = new BatchingEngine(model, new EngineOptions { Threads = run.Threads, ContextSize = Math.Min(1024, model.ContextLength) });
            await CompleteAsync(engine, Prompt(model, 0, 1), 1, run);
            if (round > 0) times.Add(clock.Elapsed.TotalSeconds); // the first fills the page cache
        }
        Console.WriteLine($"{name}, {new FileInfo(path).Length / 1e6:0} MB: loaded, with an engine and its first token, in {Median(times):0.000} s");
    }

    private static async Task BesideBareLoopAsync(string name, LlamaModel model, int sequences, Run run)
    {
        var context = PromptTokens + run.Steps;
        int[][] prompts = [.. Enumerable.Range(0, int.MaxValue).Select(seed => Prompt(model, seed, PromptTokens))
            .Where(prompt => IsEndless(model, prompt, run)).Take(sequences)];
        using var bare = new LlamaContext(model, Shape(sequences, context, run));
        var options = new EngineOptions { Threads = run.Threads, Slots = sequences, ContextSize = context, BatchTokens = PromptTokens * sequences, PrefixCache = false };
        await using var engine = new BatchingEngine(model, options);
        var (bareSpeeds, engineSpeeds) = (new List<double>(), new List<double>());
        for (var round = 0; round <= run.Rounds; round++)
        {
            var bareSpeed = Speed(sequences, run, () => BareLoop(bare, prompts, run.Steps));
            var clock = Stopwatch.StartNew();
            await Task.WhenAll(prompts.Select(prompt => CompleteAsync(engine, prompt, run.Steps, run)));
            if (round == 0) continue; // warm
            bareSpeeds.Add(bareSpeed);
            engineSpeeds.Add(sequences * run.Steps / clock.Elapsed.TotalSeconds);
        }
        Console.WriteLine($"{name}, {sequences} sequences: {Median(engineSpeeds):0} tokens/s, bare loop {Median(bareSpeeds):0}, {Median(engineSpeeds) / Median(bareSpeeds):0.000} of it");
    }

    private static async Task PrefixAsync(string name, LlamaModel model, Run run)
    {
        var room = Math.Min(PrefixTokens, model.ContextLength - 16);
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = run.Threads, Slots = 4, ContextSize = room + 16 });
        var (cold, cached) = (new List<double>(), new List<double>());
        for (var round = 0; round <= run.Rounds; round++)
        {
            var prefix = Prompt(model, 1000 + round, room);
            var first = await FirstTokenAsync([.. prefix, .. Prompt(model, 1, 8)]);
            var second = await FirstTokenAsync([.. prefix, .. Prompt(model, 2, 8)]);
            if (round == 0) continue;
            cold.Add(first);
            cached.Add(second);
        }
        Console.WriteLine($"{name}, first token after a prefix of {room}: cold {Median(cold) * 1e3:0.0} ms, cached {Median(cached) * 1e3:0.0} ms, {Median(cached) / Median(cold):0.000} of it");

        async Task<double> FirstTokenAsync(int[] prompt)
        {
            var clock = Stopwatch.StartNew();
            await CompleteAsync(engine, prompt, 1, run);
            return clock.Elapsed.TotalSeconds;
        }
    }

    private static async Task AdaptersAsync(string name, LlamaModel model, Run run)
    {
        const int sequences = 8;
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = run.Threads, Slots = sequences, ContextSize = PromptTokens + run.Steps, PrefixCache = false });
        for (var i = 0; i < Adapters; i++)
        {
            var path = Path.Combine(Path.GetDirectoryName(model.Path)!, $"adapter-{i}.gguf");
            new TinyAdapter { Rank = 16, Alpha = 1, Seed = i, Architecture = model.Metadata["general.architecture"] }.Write(path, model.Path);
            await engine.LoadAdapterAsync($"a{i}", path, run.CancellationToken);
        }
        var speeds = new List<string>();
        foreach (var (what, adapter) in new (string, Func<int, string?>)[] { ("none", _ => null), ("one", _ => "a0"), ($"{Adapters} mixed", i => $"a{i % Adapters}") })
        {
            var tokens = 0L;
            var clock = Stopwatch.StartNew();
            for (var round = 0; round < run.Rounds; round++)
                tokens += (await Task.WhenAll(Enumerable.Range(0, sequences).Select(i => CompleteAsync(engine, Prompt(model, i, PromptTokens), run.Steps, run, adapter(i))))).Sum();
            speeds.Add($"{what} {tokens / clock.Elapsed.TotalSeconds:0}");
        }
        Console.WriteLine($"{name}, {sequences} sequences with adapters of rank 16, tokens/s: {string.Join(", ", speeds)}");
    }

    private static ContextShape Shape(int sequences, int context, Run run) =>
        new(context, sequences, PromptTokens * sequences, sequences, run.Threads, GgmlType.F16, FlashAttention: false);

    private static double Speed(int sequences, Run run, Action loop)
    {
        var clock = Stopwatch.StartNew();
        loop();
        return sequences * run.Steps / clock.Elapsed.TotalSeconds;
    }

    /// <summary>All prompts in one batch, then a token of each, by the largest logit.</summary>
    private static void BareLoop(LlamaContext context, int[][] prompts, int steps)
    {
        context.Clear();
        var indexes = new int[prompts.Length];
        var tokens = new int[prompts.Length];
        for (var sequence = 0; sequence < prompts.Length; sequence++)
            for (var i = 0; i < PromptTokens; i++) indexes[sequence] = context.Batch.Add(prompts[sequence][i], i, sequence, output: i == PromptTokens - 1);
        for (var step = 0; ; step++)
        {
            context.Decode();
            for (var sequence = 0; sequence < tokens.Length; sequence++) tokens[sequence] = TokenSampler.ArgMax(context.Logits(indexes[sequence]));
            if (step == steps - 1) return;
            for (var sequence = 0; sequence < tokens.Length; sequence++)
                indexes[sequence] = context.Batch.Add(tokens[sequence], PromptTokens + step, sequence, output: true);
        }
    }

    /// <summary>Whether the model does not end the completion by itself, which the bare loop would not notice.</summary>
    private static bool IsEndless(LlamaModel model, int[] prompt, Run run)
    {
        using var context = new LlamaContext(model, Shape(1, PromptTokens + run.Steps, run));
        for (var i = 0; i < prompt.Length; i++) context.Batch.Add(prompt[i], i, 0, output: i == prompt.Length - 1);
        var index = prompt.Length - 1;
        for (var step = 0; step < run.Steps; step++)
        {
            context.Decode();
            var token = TokenSampler.ArgMax(context.Logits(index));
            if (model.IsEndOfGeneration(token)) return false;
            index = context.Batch.Add(token, prompt.Length + step, 0, output: true);
        }
        return true;
    }

    private static int[] Prompt(LlamaModel model, int seed, int length)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(3, model.VocabularySize))];
    }

    private static async Task<int> CompleteAsync(BatchingEngine engine, int[] prompt, int maxTokens, Run run, string? adapter = null)
    {
        var tokens = 0;
        await foreach (var piece in engine.GenerateAsync(new GenerationRequest { Prompt = prompt, MaxTokens = maxTokens, Adapter = adapter }, run.CancellationToken))
            tokens += piece.Tokens.Count;
        return tokens;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private sealed record Run(int Steps, int Rounds, int Threads, CancellationToken CancellationToken);
}
