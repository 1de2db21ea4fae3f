using System.Diagnostics;
using System.Text.Json;

namespace ModelOps.Services.Tests;

/// <summary>Runs the reference implementations under tests/oracles; restores them on first use.</summary>
internal static class NodeOracle
{
    private static readonly TimeSpan timeout = TimeSpan.FromMinutes(3);
    private static readonly string folder = Path.Combine(TestPaths.Repository, "tests", "oracles");
    private static readonly SemaphoreSlim restoring = new(1);

    /// <summary>Gives <paramref name="input"/> to a script as JSON and reads its answer. Skips without Node, but fails so in CI.</summary>
    public static async Task<JsonElement> AskAsync(string script, object input, CancellationToken cancellationToken)
    {
        await RestoreAsync(cancellationToken);
        var output = await RunAsync("node", [script], JsonSerializer.Serialize(input), cancellationToken);
        using var document = JsonDocument.Parse(output);
        return document.RootElement.Clone();
    }

    private static async Task RestoreAsync(CancellationToken cancellationToken)
    {
        if (!IsInstalled("node") || !IsInstalled("npm"))
        {
            const string Reason = "Node is not installed; the reference implementations need it: apt-get install nodejs npm.";
            Assert.SkipUnless(Environment.GetEnvironmentVariable("CI") == "true", Reason);
            Assert.Fail(Reason);
        }
        await restoring.WaitAsync(cancellationToken);
        try
        {
            if (!File.Exists(Path.Combine(folder, "node_modules", ".package-lock.json"))) // npm writes it last
                await RunAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], "", cancellationToken);
        }
        finally
        {
            restoring.Release();
        }
    }

    private static bool IsInstalled(string command) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(path => File.Exists(Path.Combine(path, command)));

    private static async Task<string> RunAsync(string command, string[] arguments, string input, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        var start = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        using var process = Process.Start(start)!;
        try
        {
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
            await WriteAsync(process.StandardInput, input, limit.Token);
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, $"{command} {string.Join(' ', arguments)} failed: {await errors}");
            return await output;
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }

    private static async Task WriteAsync(StreamWriter writer, string input, CancellationToken cancellationToken)
    {
        try
        {
            await writer.WriteAsync(input.AsMemory(), cancellationToken);
            writer.Close();
        }
        catch (IOException)
        {
            // It ended before it read everything: its exit code and its errors tell why.
        }
    }
}
