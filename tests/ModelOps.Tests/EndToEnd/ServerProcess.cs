using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A server's process from its launch on, ready or not.</summary>
internal sealed class ServerProcess : IDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(120);
    private readonly Process process;
    private readonly StringBuilder lines = new();
    private readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ServerProcess(ProcessStartInfo start)
    {
        process = new Process { StartInfo = start };
        process.ErrorDataReceived += (_, line) =>
        {
            lock (lines) lines.AppendLine(line.Data);
            if (line.Data?.Contains("modelops: ready on ", StringComparison.Ordinal) == true) ready.TrySetResult();
            else if (line.Data is null) ready.TrySetException(new InvalidOperationException($"the server ended before it was ready:\n{Log}"));
        };
    }

    public int Id => process.Id;

    /// <summary>What it wrote to standard error so far.</summary>
    public string Log
    {
        get
        {
            lock (lines) return lines.ToString();
        }
    }

    public static Task<ServerProcess> LaunchAsync(string home, IReadOnlyDictionary<string, string> environment, params string[] settings) =>
        LaunchAsync([], home, environment, settings);

    /// <param name="through">A command that becomes the one behind it.</param>
    public static async Task<ServerProcess> LaunchAsync(string[] through, string home, IReadOnlyDictionary<string, string> environment, params string[] settings)
    {
        string[] command =
        [
            .. through, Path.Combine(RepositoryRoot.Path, "artifacts/bin/ModelOps.Server/release/ModelOps.Server"),
            "--home", home, "--port", "0", .. settings.SelectMany(setting => new[] { "--set", setting }),
        ];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        foreach (var (name, value) in (await Backends.EnvironmentAsync(home)).Concat(environment)) start.Environment[name] = value;
        var launched = new ServerProcess(start);
        launched.process.Start();
        launched.process.BeginErrorReadLine();
        return launched;
    }

    /// <exception cref="InvalidOperationException">It ended, or was not ready in time; with all that it wrote.</exception>
    public async Task ReadyAsync(CancellationToken cancellationToken)
    {
        try
        {
            await ready.Task.WaitAsync(patience, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new InvalidOperationException($"the server was not ready after {patience}:\n{Log}", e);
        }
    }

    /// <summary>Waits for its end, which it comes to by itself.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> EndAsync(CancellationToken cancellationToken)
    {
        await process.WaitForExitAsync(cancellationToken).WaitAsync(patience, cancellationToken);
        return process.ExitCode;
    }

    /// <summary>Asks it to stop, and waits.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> StopAsync()
    {
        if (!process.HasExited)
        {
            using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            await process.WaitForExitAsync().WaitAsync(patience);
        }
        return process.ExitCode;
    }

    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync().WaitAsync(patience);
    }

    public void Dispose() => process.Dispose();
}
