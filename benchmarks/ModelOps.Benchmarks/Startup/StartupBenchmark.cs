using System.CommandLine;
using System.Diagnostics;

namespace ModelOps.Benchmarks.Startup;

/// <summary>
/// From the start of the server's process until /readyz answers 200, on a new home (cold) and on one that was used (warm); and the command line's whole <c>--version</c>.
/// </summary>
internal static class StartupBenchmark
{
    private const int Runs = 5;
    private const double TargetSeconds = 1.5;

    public static Command Create()
    {
        var server = new Option<FileInfo>("--server") { Description = "The server's program.", DefaultValueFactory = _ => new(ReadyServer.Program) };
        var command = new Command("startup", "The server's start on a new and on a used home, until it is ready, and the command line's.") { server };
        command.SetAction((parsed, _) => RunAsync(parsed.GetRequiredValue(server).FullName));
        return command;
    }

    public static async Task<int> RunAsync(string program)
    {
        Console.WriteLine($"{Environment.ProcessorCount} CPUs, {Environment.OSVersion}, .NET {Environment.Version}; median of {Runs}, target {TargetSeconds} s");
        var (cold, warm, commandLine) = (new List<Sample>(), new List<Sample>(), new List<Sample>());
        for (var run = 0; run <= Runs; run++)
        {
            var home = Directory.CreateTempSubdirectory("modelops-startup-");
            try
            {
                var samples = (await MeasureAsync(program, home.FullName), await MeasureAsync(program, home.FullName), await MeasureCommandLineAsync());
                if (run == 0) continue; // this process compiles its own client, and the files come into the page cache
                cold.Add(samples.Item1);
                warm.Add(samples.Item2);
                commandLine.Add(samples.Item3);
            }
            finally
            {
                home.Delete(recursive: true);
            }
        }
        Report("cold", cold);
        Report("warm", warm);
        Report("modelops --version", commandLine);
        return 0;
    }

    private static async Task<Sample> MeasureAsync(string program, string home)
    {
        await using var server = await ReadyServer.StartAsync(program, home);
        return new Sample(server.Took.TotalSeconds, server.CpuTime.TotalSeconds);
    }

    private static async Task<Sample> MeasureCommandLineAsync()
    {
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "../../ModelOps.Cli/release/modelops"), ["--version"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        })!;
        await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new Sample(clock.Elapsed.TotalSeconds, CpuSeconds: null); // of a process that has ended nobody tells it
    }

    private static void Report(string name, List<Sample> samples)
    {
        var seconds = samples.Select(sample => sample.Seconds).Order().ToList();
        var median = seconds[Runs / 2];
        var cpu = samples.Select(sample => sample.CpuSeconds).Order().ElementAt(Runs / 2);
        Console.WriteLine(
            $"{name}: median {median:F2} s, least {seconds[0]:F2} s, most {seconds[^1]:F2} s{(cpu is null ? "" : $"; CPU time, median {cpu:F2} s")}{(median > TargetSeconds ? "  ABOVE TARGET" : "")}");
    }

    /// <param name="CpuSeconds">Of all threads, user and system: what a machine that others use does not change much.</param>
    private sealed record Sample(double Seconds, double? CpuSeconds);
}
