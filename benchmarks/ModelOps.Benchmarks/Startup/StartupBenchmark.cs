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
        var command = new Command("startup", "The server's start on a new and on a used home, until it is ready.");
        command.SetAction((_, _) => RunAsync());
        return command;
    }

    private static async Task<int> RunAsync()
    {
        var program = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../ModelOps.Server/release/ModelOps.Server"));
        Console.WriteLine($"{Environment.ProcessorCount} CPUs, {Environment.OSVersion}, .NET {Environment.Version}; median of {Runs}, target {TargetSeconds} s");
        var (cold, warm) = (new List<double>(), new List<double>());
        for (var run = 0; run < Runs; run++)
        {
            var home = Directory.CreateTempSubdirectory("modelops-startup-");
            try
            {
                cold.Add(await MeasureAsync(program, home.FullName));
                warm.Add(await MeasureAsync(program, home.FullName));
            }
            finally
            {
                home.Delete(recursive: true);
            }
        }
        Report("cold", cold);
        Report("warm", warm);
        return 0;
    }

    private static async Task<double> MeasureAsync(string program, string home)
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
            return clock.Elapsed.TotalSeconds;
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

    private static void Report(string name, List<double> seconds) => Console.WriteLine(
        $"{name}: median {seconds.Order().ElementAt(Runs / 2):F2} s, least {seconds.Min():F2} s, most {seconds.Max():F2} s{(seconds.Order().ElementAt(Runs / 2) > TargetSeconds ? "  ABOVE TARGET" : "")}");
}
