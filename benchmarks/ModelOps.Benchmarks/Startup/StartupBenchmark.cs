using System.CommandLine;
using System.Diagnostics;
using ModelOps.Client;

namespace ModelOps.Benchmarks.Startup;

/// <summary>From the start of the server's process until /readyz answers 200: on a new home (cold) and on one that was used (warm).</summary>
internal static class StartupBenchmark
{
    private const int Runs = 5;
    private const double TargetSeconds = 1.5;
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(1);

    public static Command Create()
    {
        var server = new Option<FileInfo>("--server")
        {
            Description = "The server's program.",
            DefaultValueFactory = _ => new(Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../ModelOps.Server/release/ModelOps.Server"))),
        };
        var command = new Command("startup", "The server's start on a new and on a used home, until it is ready.") { server };
        command.SetAction((parsed, _) => RunAsync(parsed.GetRequiredValue(server).FullName));
        return command;
    }

    private static async Task<int> RunAsync(string program)
    {
        Console.WriteLine($"{Environment.ProcessorCount} CPUs, {Environment.OSVersion}, .NET {Environment.Version}; median of {Runs}, target {TargetSeconds} s");
        await MeasureAsync(program); // not counted: this process compiles its own client, and the files come into the page cache
        var (cold, warm) = (new List<Sample>(), new List<Sample>());
        for (var run = 0; run < Runs; run++)
        {
            var (first, second) = await MeasureAsync(program);
            cold.Add(first);
            warm.Add(second);
        }
        Report("cold", cold);
        Report("warm", warm);
        return 0;
    }

    private static async Task<(Sample Cold, Sample Warm)> MeasureAsync(string program)
    {
        var home = Directory.CreateTempSubdirectory("modelops-startup-");
        try
        {
            return (await MeasureAsync(program, home.FullName), await MeasureAsync(program, home.FullName));
        }
        finally
        {
            home.Delete(recursive: true);
        }
    }

    private static async Task<Sample> MeasureAsync(string program, string home)
    {
        var credentials = Path.Combine(home, "credentials.json");
        var before = File.GetLastWriteTimeUtc(credentials); // written anew when the server listens
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(new ProcessStartInfo(program, ["--home", home, "--port", "0"])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        try
        {
            while (!await IsReadyAsync(credentials, before, home))
            {
                if (process.HasExited || clock.Elapsed > patience) throw new InvalidOperationException("the server did not become ready");
                await Task.Delay(TimeSpan.FromMilliseconds(5));
            }
            var elapsed = clock.Elapsed;
            process.Refresh();
            return new Sample(elapsed.TotalSeconds, process.TotalProcessorTime.TotalSeconds);
        }
        finally
        {
            using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            await process.WaitForExitAsync();
        }
    }

    private static async Task<bool> IsReadyAsync(string credentials, DateTime before, string home)
    {
        if (!File.Exists(credentials) || File.GetLastWriteTimeUtc(credentials) == before) return false;
        using var document = System.Text.Json.JsonDocument.Parse(await File.ReadAllBytesAsync(credentials));
        using var client = new ModelOpsClient(
            new Uri(document.RootElement.GetProperty("server").GetString()!), apiKey: null, Path.Combine(home, "certs", "ca.crt"));
        return (await client.GetReadinessAsync()).NotReady.Count == 0;
    }

    private static void Report(string name, List<Sample> samples)
    {
        var seconds = samples.Select(sample => sample.Seconds).Order().ToList();
        var median = seconds[Runs / 2];
        var cpu = samples.Select(sample => sample.CpuSeconds).Order().ElementAt(Runs / 2);
        Console.WriteLine(
            $"{name}: median {median:F2} s, least {seconds[0]:F2} s, most {seconds[^1]:F2} s; CPU time, median {cpu:F2} s{(median > TargetSeconds ? "  ABOVE TARGET" : "")}");
    }

    /// <param name="CpuSeconds">Of all threads, user and system: what a machine that others use does not change much.</param>
    private sealed record Sample(double Seconds, double CpuSeconds);
}
