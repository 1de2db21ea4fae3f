using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using ModelOps.Client;

namespace ModelOps.Benchmarks.Startup;

/// <summary>What ModelOps takes: a clone and its build on the disk, server and workers in memory while they have nothing to do, and starts.</summary>
internal static class SizesBenchmark
{
    private const double Mega = 1e6;
    private static readonly string[] roles = ["data", "training", "evaluation", "quantization", "inference"];
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan rest = TimeSpan.FromSeconds(20);

    public static Command Create()
    {
        var command = new Command("sizes", "The disk that a clone and its build take, the memory of idle processes, and starts.");
        command.SetAction((_, _) => RunAsync());
        return command;
    }

    private static async Task<int> RunAsync()
    {
        var root = (await OutputAsync("git", "-C", AppContext.BaseDirectory, "rev-parse", "--show-toplevel")).Trim();
        await ReportCloneAsync(root);
        await ReportBuildAsync(Path.Combine(root, "artifacts"));
        await ReportMemoryAsync();
        return await StartupBenchmark.RunAsync(ReadyServer.Program);
    }

    private static async Task ReportCloneAsync(string root)
    {
        var clone = Directory.CreateTempSubdirectory("modelops-clone-");
        try
        {
            await OutputAsync("git", "clone", "--quiet", "--single-branch", $"file://{root}", clone.FullName);
            var objects = await DiskAsync(Path.Combine(clone.FullName, ".git", "objects"));
            var files = (await OutputAsync("git", "-C", clone.FullName, "ls-files")).Count(letter => letter == '\n');
            Console.WriteLine($"clone: {objects / Mega:F1} MB of git objects, {(await DiskAsync(clone.FullName) - await DiskAsync(Path.Combine(clone.FullName, ".git"))) / Mega:F1} MB in {files} files");
        }
        finally
        {
            clone.Delete(recursive: true);
        }
    }

    /// <summary>Packages are linked and not copied: the package folder's own bytes are not the build's.</summary>
    private static async Task ReportBuildAsync(string artifacts)
    {
        Console.WriteLine($"build: {await DiskAsync(artifacts) / Mega:F0} MB");
        foreach (var folder in Directory.EnumerateDirectories(artifacts).Order(StringComparer.Ordinal))
            Console.WriteLine($"  {Path.GetFileName(folder)}: {await DiskAsync(folder) / Mega:F0} MB");
    }

    private static async Task ReportMemoryAsync()
    {
        var home = Directory.CreateTempSubdirectory("modelops-sizes-");
        try
        {
            await using var server = await ReadyServer.StartAsync(ReadyServer.Program, home.FullName, [.. roles.Select(role => $"workers:{role}:min=1")]);
            var clock = Stopwatch.StartNew();
            IReadOnlyList<Worker> workers;
            while ((workers = await server.Client.Workers.ListAsync()).Count(worker => worker.State == WorkerState.Ready) < roles.Length)
            {
                if (clock.Elapsed > patience) throw new InvalidOperationException("the workers did not become ready");
                await Task.Delay(TimeSpan.FromMilliseconds(100));
            }
            await Task.Delay(rest);
            Console.WriteLine($"memory {rest.TotalSeconds:F0} s after the start, with nothing to do:");
            foreach (var (name, id) in workers.Select(worker => ($"{worker.Role} worker", worker.ProcessId!.Value)).Prepend(("server", server.ProcessId)))
            {
                var (rss, pss) = MemoryOf(id);
                Console.WriteLine($"  {name}: RSS {rss / Mega:F0} MB, PSS {pss / Mega:F0} MB");
            }
        }
        finally
        {
            home.Delete(recursive: true);
        }
    }

    /// <summary>Resident bytes, and those with each shared page divided by the processes that share it.</summary>
    private static (long Rss, long Pss) MemoryOf(int process)
    {
        var lines = File.ReadAllLines($"/proc/{process}/smaps_rollup");
        return (Of("Rss:"), Of("Pss:"));

        long Of(string name) => 1024 * long.Parse(lines.Single(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }

    /// <returns>Bytes of its blocks, what is linked twice once.</returns>
    private static async Task<double> DiskAsync(string folder) => 1024 * double.Parse((await OutputAsync("du", "-sk", folder)).Split('\t')[0], CultureInfo.InvariantCulture);

    private static async Task<string> OutputAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} ended with {process.ExitCode}");
    }
}
