using System.Diagnostics;
using System.Text;
using System.Text.Json;
using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>
/// Garbage on everything that takes input: requests, adapters, grammars, schemas, texts to embed and to rank. In a child process, because an
/// assertion of native code would take this one with it.
/// </summary>
public sealed class EngineFuzzTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private const string FolderVariable = "MODELOPS_TEST_ENGINE_FUZZ";
    private const string Outcomes = "outcomes.txt";
    private const int Seconds = 5;

    private static readonly TimeSpan limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task AllInputs_Garbage_AreAnsweredOrRefusedButNeverAbort()
    {
        if (Environment.GetEnvironmentVariable(FolderVariable) is { } folder)
        {
            await FuzzAsync(folder); // this is the child
            return;
        }
        new TinyAdapter { Rank = 2 }.Write(fixture.InFolder("adapter"), fixture.ModelPath);
        new TinyBert { Pooling = 4 }.Write(fixture.InFolder("ranks.gguf"));
        new TinyBert { Pooling = 1 }.Write(fixture.InFolder("embeds.gguf"));

        var (exit, errors) = await RunChild(fixture.Folder);

        var outcomes = await File.ReadAllLinesAsync(fixture.InFolder(Outcomes), TestContext.Current.CancellationToken);
        Assert.True(exit == 0, $"the child ended with {exit} at {outcomes.LastOrDefault()}: {errors}");
        foreach (var kind in new[] { "request", "adapter", "grammar", "schema", "embed", "rank" })
        {
            Assert.Contains(outcomes, line => line.StartsWith(kind, StringComparison.Ordinal) && line.EndsWith(" done", StringComparison.Ordinal));
            Assert.Contains(outcomes, line => line.StartsWith(kind, StringComparison.Ordinal) && line.EndsWith("Exception", StringComparison.Ordinal));
        }
    }

    private static async Task FuzzAsync(string folder)
    {
        using var model = LlamaModel.Load(Path.Combine(folder, "tiny.gguf"));
        using var embeds = LlamaModel.Load(Path.Combine(folder, "embeds.gguf"));
        using var ranks = LlamaModel.Load(Path.Combine(folder, "ranks.gguf"));
        await using var engine = new BatchingEngine(model, new EngineOptions { Threads = 1, Slots = 3, ContextSize = 64, BatchTokens = 16, QueueLength = 4 });
        await using var embedder = new EmbeddingEngine(embeds, new EmbeddingOptions { Threads = 1, BatchTokens = 50, Slots = 3 });
        await using var ranker = new RerankEngine(ranks, new EmbeddingOptions { Threads = 1, BatchTokens = 50, Slots = 3 });
        var adapter = await File.ReadAllBytesAsync(Path.Combine(folder, "adapter"));
        await engine.LoadAdapterAsync("a", Path.Combine(folder, "adapter"));
        await using var outcomes = new StreamWriter(Path.Combine(folder, Outcomes)) { AutoFlush = true };
        var clock = Stopwatch.StartNew();
        for (var seed = 0; clock.Elapsed < TimeSpan.FromSeconds(Seconds); seed++)
        {
            var random = new Random(seed);
            var (kind, use) = (seed % 6) switch
            {
                0 => ("request", () => CompleteAsync(engine, Request(random))),
                1 => ("adapter", () => UseAdapterAsync(engine, Mutations.Apply(random, adapter), Path.Combine(folder, "mutated"))),
                2 => ("grammar", () => CompleteAsync(engine, new GenerationRequest { Prompt = [5], MaxTokens = 4, Grammar = GrammarText(random) })),
                3 => ("schema", () => CompleteAsync(engine, new GenerationRequest { Prompt = [5], MaxTokens = 4, Grammar = JsonSchemaGrammar.ToGbnf(Schema(random)) })),
                4 => ("embed", () => embedder.EmbedAsync([.. Enumerable.Range(0, random.Next(4)).Select(_ => Tokens(random, 70))])),
                _ => ("rank", (Func<Task>)(() => ranker.RankAsync(Text(random), [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Text(random))]))),
            };
            await outcomes.WriteLineAsync($"{kind} {seed}");
            await outcomes.WriteLineAsync($"{kind} {seed} {await OutcomeAsync(use)}");
        }
    }

    private static async Task<string> OutcomeAsync(Func<Task> use)
    {
        try
        {
            await use().WaitAsync(limit);
            return "done";
        }
        catch (Exception exception) when (exception is ArgumentException or GgmlException or PromptTooLongException or AdapterNotFoundException or JsonException)
        {
            return exception.GetType().Name;
        }
    }

    private static async Task CompleteAsync(BatchingEngine engine, GenerationRequest request)
    {
        await foreach (var piece in engine.GenerateAsync(request)) Assert.NotNull(piece.Text);
    }

    private static async Task UseAdapterAsync(BatchingEngine engine, byte[] bytes, string path)
    {
        await File.WriteAllBytesAsync(path, bytes);
        await engine.LoadAdapterAsync("mutated", path);
        await CompleteAsync(engine, new GenerationRequest { Prompt = [5, 6, 7], MaxTokens = 3, Adapter = "mutated" });
    }

    private static GenerationRequest Request(Random random)
    {
        // Each field is senseless now and then: if all were, nothing would reach the engine.
        float Number(float sane) => random.Next(12) > 0 ? sane : Pick(random, [float.NaN, float.PositiveInfinity, float.NegativeInfinity, -1, 0, 1e-38f, 1e38f, float.Epsilon, 1]);
        int Integer(int sane) => random.Next(12) > 0 ? sane : Pick(random, [int.MinValue, -1, 0, 1, 63, 64, 65, int.MaxValue]);
        return new GenerationRequest
        {
            Prompt = Tokens(random, 70),
            MaxTokens = Integer(random.Next(1, 9)),
            Stop = [.. Enumerable.Range(0, random.Next(3)).Select(_ => Text(random))],
            Adapter = Pick(random, [null, "a", "a", "none"]),
            Grammar = random.Next(8) == 0 ? GrammarText(random) : null,
            TopLogprobs = random.Next(2) == 0 ? Integer(random.Next(21)) : null,
            Priority = (RequestPriority)Integer(random.Next(3)),
            Sampling = new()
            {
                Temperature = Number(random.Next(3)),
                TopK = Integer(random.Next(300)),
                TopP = Number(random.NextSingle() + 0.01f),
                MinP = Number(random.NextSingle()),
                FrequencyPenalty = Number(random.NextSingle()),
                PresencePenalty = Number(random.NextSingle()),
                RepeatPenalty = Number(random.NextSingle() + 0.5f),
                LogitBias = Tokens(random, 3).Distinct().ToDictionary(token => token, _ => Number(random.Next(-100, 100))),
                Seed = (uint)random.Next(),
            },
        };
    }

    private static int[] Tokens(Random random, int most)
    {
        var unknown = random.Next(12) == 0;
        return [.. Enumerable.Range(0, random.Next(most)).Select(_ => unknown ? Pick(random, [int.MinValue, -1, 30, 31, 258, 259, int.MaxValue]) : random.Next(31))];
    }

    private static string GrammarText(Random random)
    {
        const string valid = "root ::= (\"a\" | [^b-d\\x41]{2,3} x)* # c\nx ::= (\"\\u00e4\"? root+ .){0,2} |\n \"]\" [a-]";
        return Encoding.UTF8.GetString(random.Next(8) == 0 ? Encoding.UTF8.GetBytes(valid) : Mutations.Apply(random, Encoding.UTF8.GetBytes(valid)));
    }

    private static JsonElement Schema(Random random)
    {
        const string valid = """{"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":40},"b":{"enum":["x",1]},"c":{"$ref":"#/properties/a"}},"required":["a"],"additionalProperties":{"type":["string","null"],"maxLength":9}}""";
        return JsonElement.Parse(random.Next(8) == 0 ? Encoding.UTF8.GetBytes(valid) : Mutations.Apply(random, Encoding.UTF8.GetBytes(valid)));
    }

    private static string Text(Random random) => new([.. Enumerable.Range(0, random.Next(Pick(random, [9, 200]))).Select(_ => (char)Pick(random, [random.Next(32, 127), random.Next(0x10000), 0]))]);

    private static T Pick<T>(Random random, T[] values) => values[random.Next(values.Length)];

    private static async Task<(int Exit, string Errors)> RunChild(string folder)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet") start.ArgumentList.Add(typeof(EngineFuzzTests).Assembly.Location);
        start.ArgumentList.Add("--filter-method");
        start.ArgumentList.Add($"*{nameof(EngineFuzzTests)}.{nameof(AllInputs_Garbage_AreAnsweredOrRefusedButNeverAbort)}");
        start.Environment[FolderVariable] = folder;
        using var child = Process.Start(start)!;
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        timeout.CancelAfter(TimeSpan.FromMinutes(2));
        try
        {
            var (output, errors) = (child.StandardOutput.ReadToEndAsync(timeout.Token), child.StandardError.ReadToEndAsync(timeout.Token));
            await child.WaitForExitAsync(timeout.Token);
            return (child.ExitCode, await output + await errors);
        }
        finally
        {
            if (!child.HasExited) child.Kill(entireProcessTree: true);
        }
    }
}
