using System.CommandLine;
using System.Diagnostics;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;

namespace ModelOps.Benchmarks.Gateway;

/// <summary>
/// What the way through the gateway costs: the time to the first token and the tokens a second of clients over HTTPS, with a key and streamed, beside the same
/// engine in this process, called directly and through a bare Kestrel. They take turns in one run, with the same prompts, greedily.
/// </summary>
internal static class GatewayBenchmark
{
    private const int ContextSize = 512;
    private const double TargetMilliseconds = 1;
    private const double TargetPercent = 3;

    public static Command Create()
    {
        var server = new Option<FileInfo>("--server")
        {
            Description = "The server's program.",
            DefaultValueFactory = _ => new(Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../ModelOps.Server/release/ModelOps.Server"))),
        };
        var model = new Option<string>("--model") { Description = "Folder of the model, served in F16.", DefaultValueFactory = _ => "samples/models/wordsmith" };
        var requests = new Option<int>("--requests") { Description = "Requests for the time to the first token.", DefaultValueFactory = _ => 300 };
        var clients = new Option<int>("--clients") { Description = "Clients at once for the throughput.", DefaultValueFactory = _ => 32 };
        var rounds = new Option<int>("--rounds") { Description = "Requests of each client.", DefaultValueFactory = _ => 8 };
        var threads = new Option<int>("--threads") { Description = "Threads of either engine.", DefaultValueFactory = _ => EngineOptions.DefaultThreads };
        var command = new Command("gateway", "HTTP, authentication and streaming beside the engine called directly.") { server, model, requests, clients, rounds, threads };
        command.SetAction((parsed, cancellationToken) => RunAsync(
            parsed.GetRequiredValue(server).FullName,
            ModelFolder.Open(parsed.GetRequiredValue(model)),
            new Load(parsed.GetValue(requests), parsed.GetValue(clients), parsed.GetValue(rounds)),
            parsed.GetValue(threads),
            cancellationToken));
        return command;
    }

    private static async Task RunAsync(string program, ModelFolder model, Load load, int threads, CancellationToken cancellationToken)
    {
        Console.WriteLine($"{Environment.ProcessorCount} CPUs, {Environment.OSVersion}, .NET {Environment.Version}; {threads} threads of either engine, {load}");
        var work = Directory.CreateTempSubdirectory("modelops-gateway-").FullName;
        try
        {
            var folder = Directory.CreateDirectory(Path.Combine(work, "gguf")).FullName;
            GgufConversion.Convert(model, Path.Combine(folder, "model.gguf"), GgufWeightType.F16, new() { Name = "benchmark" }, cancellationToken);
            await using var direct = new DirectEngine(Path.Combine(folder, "model.gguf"), new() { Slots = load.Clients, ContextSize = ContextSize, Threads = threads });
            await using var gateway = await GatewayServer.StartAsync(program, Path.Combine(work, "home"), folder, load.Clients, ContextSize, threads, cancellationToken);
            await using var bare = await BareServer.StartAsync(direct, cancellationToken);
            await FirstTokensAsync(direct, bare, gateway, load, cancellationToken);
            await ThroughputAsync(direct, bare, gateway, load, cancellationToken);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static async Task FirstTokensAsync(IAnswering direct, IAnswering bare, IAnswering gateway, Load load, CancellationToken cancellationToken)
    {
        IAnswering[] ways = [direct, bare, gateway];
        var times = ways.Select(_ => new List<double>()).ToArray();
        for (var i = -50; i < load.Requests; i++) // the first ones warm up
        {
            for (var way = 0; way < ways.Length; way++)
            {
                var time = await FirstAsync(ways[way], $"Question {i}: what is a river?", cancellationToken);
                if (i >= 0) times[way].Add(time);
            }
        }
        double[] p50 = [.. times.Select(Median)];
        Console.WriteLine(
            $"first token, p50: direct {p50[0]:F2} ms, through a bare Kestrel {p50[1] - p50[0]:F2} ms more, through the gateway {p50[2] - p50[0]:F2} ms more{(p50[2] - p50[0] > TargetMilliseconds ? $"  ABOVE {TargetMilliseconds} ms" : "")}");
    }

    private static async Task<double> FirstAsync(IAnswering engine, string prompt, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        double? first = null;
        await foreach (var piece in engine.AnswerAsync(prompt, maxTokens: 4, cancellationToken))
            if (piece.Text.Length > 0) first ??= clock.Elapsed.TotalMilliseconds;
        return first ?? throw new InvalidOperationException($"'{prompt}' was answered with nothing");
    }

    private static async Task ThroughputAsync(IAnswering direct, IAnswering bare, IAnswering gateway, Load load, CancellationToken cancellationToken)
    {
        IAnswering[] ways = [direct, bare, gateway];
        var speeds = ways.Select(_ => new List<double>()).ToArray();
        for (var run = -2; run < 5; run++) // the first ones warm up
        {
            for (var way = 0; way < ways.Length; way++)
            {
                var speed = await TokensPerSecondAsync(ways[way], load, cancellationToken);
                if (run >= 0) speeds[way].Add(speed);
            }
        }
        double[] p50 = [.. speeds.Select(Median)];
        double Lost(int way) => 100 * (1 - (p50[way] / p50[0]));
        Console.WriteLine(
            $"{load.Clients} clients: direct {p50[0]:F0} tokens/s, through a bare Kestrel {Lost(1):F1} % less, through the gateway {Lost(2):F1} % less{(Lost(2) > TargetPercent ? $"  ABOVE {TargetPercent} %" : "")}");
    }

    private static async Task<double> TokensPerSecondAsync(IAnswering engine, Load load, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var tokens = await Task.WhenAll(Enumerable.Range(0, load.Clients).Select(async client =>
        {
            var count = 0;
            for (var round = 0; round < load.Rounds; round++)
                await foreach (var piece in engine.AnswerAsync($"Client {client}, round {round}: a long story of a river:", maxTokens: 64, cancellationToken)) count += piece.Tokens;
            return count;
        }));
        return tokens.Sum() / clock.Elapsed.TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private sealed record Load(int Requests, int Clients, int Rounds);
}

/// <param name="Tokens">Of the whole answer; on its last piece.</param>
internal readonly record struct TimedPiece(string Text, int Tokens);

internal interface IAnswering
{
    IAsyncEnumerable<TimedPiece> AnswerAsync(string prompt, int maxTokens, CancellationToken cancellationToken);
}
