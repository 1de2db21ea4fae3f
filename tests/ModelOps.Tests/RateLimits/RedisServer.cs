using System.Diagnostics;
using System.Globalization;

namespace ModelOps.Tests.RateLimits;

/// <summary>A real redis-server on a port of its own, which a test can kill, hang and start again. Where it is not installed the tests are skipped, and fail where CI is set.</summary>
internal sealed class RedisServer : IAsyncDisposable
{
    private const string Missing = "tests of shared rate limits need redis-server: ./test --install";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-redis-");
    private Process? process;

    public int Port { get; private set; }

    public string ConnectionString => $"127.0.0.1:{Port}";

    public static async Task<RedisServer> StartAsync(CancellationToken cancel)
    {
        var server = new RedisServer();
        for (var attempt = 0; attempt < 20; attempt++)
        {
            // Below the ports that the kernel gives to outgoing connections: it stays free between a stop and a start.
            server.Port = Random.Shared.Next(20_000, 32_000);
            if (await server.TryStartAsync(cancel)) return server;
        }
        throw new InvalidOperationException("redis-server found no free port");
    }

    /// <summary>Starts it again where it was, empty.</summary>
    public async Task RestartAsync(CancellationToken cancel) => Assert.True(await TryStartAsync(cancel), $"port {Port} was taken meanwhile");

    /// <summary>Pulls the plug.</summary>
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync().WaitAsync(patience);
        process.Dispose();
        process = null;
    }

    /// <summary>Its sockets stay open and nothing answers.</summary>
    public Task HangAsync(CancellationToken cancel) => SignalAsync("-STOP", cancel);

    public Task ContinueAsync(CancellationToken cancel) => SignalAsync("-CONT", cancel);

    public async ValueTask DisposeAsync()
    {
        if (process is not null) await KillAsync();
        folder.Delete(recursive: true);
    }

    private async Task<bool> TryStartAsync(CancellationToken cancel)
    {
        var started = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        process = new Process
        {
            StartInfo = new ProcessStartInfo(
                "redis-server",
                ["--bind", "127.0.0.1", "--port", Port.ToString(CultureInfo.InvariantCulture), "--save", "", "--appendonly", "no", "--dir", folder.FullName])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is null) started.TrySetResult(false);
            else if (line.Data.Contains("Ready to accept connections", StringComparison.Ordinal)) started.TrySetResult(true);
        };
        process.ErrorDataReceived += (_, _) => { };
        try
        {
            process.Start();
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            process = null;
            folder.Delete();
            if (Environment.GetEnvironmentVariable("CI") != "true") Assert.Skip(Missing);
            throw new InvalidOperationException(Missing, e);
        }
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (await started.Task.WaitAsync(patience, cancel)) return true;
        await KillAsync();
        return false;
    }

    private async Task SignalAsync(string signal, CancellationToken cancel)
    {
        using var kill = Process.Start("kill", [signal, $"{process!.Id}"]);
        await kill.WaitForExitAsync(cancel);
        Assert.Equal(0, kill.ExitCode);
    }
}
