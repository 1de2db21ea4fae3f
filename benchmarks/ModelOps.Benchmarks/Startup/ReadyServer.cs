using System.Diagnostics;
using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Benchmarks.Startup;

/// <summary>A server's process on a home folder and any free port, whose /readyz has answered 200. It is asked to stop when this is disposed.</summary>
internal sealed class ReadyServer : IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(1);
    private readonly Process process;

    private ReadyServer(Process process, ModelOpsClient client, TimeSpan took)
    {
        (this.process, Client, Took) = (process, client, took);
        process.Refresh();
        CpuTime = process.TotalProcessorTime;
    }

    /// <summary>The server's program as this build has it.</summary>
    public static string Program { get; } = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../ModelOps.Server/release/ModelOps.Server"));

    public int ProcessId => process.Id;

    public ModelOpsClient Client { get; }

    /// <summary>From the start of the process until it was ready.</summary>
    public TimeSpan Took { get; }

    /// <summary>Of all threads until it was ready, user and system.</summary>
    public TimeSpan CpuTime { get; }

    /// <param name="settings">Each <c>section:key=value</c>.</param>
    public static async Task<ReadyServer> StartAsync(string program, string home, params string[] settings)
    {
        var credentials = Path.Combine(home, "credentials.json");
        var before = File.GetLastWriteTimeUtc(credentials); // written anew when the server listens
        var clock = Stopwatch.StartNew();
        var started = Process.Start(new ProcessStartInfo(program, ["--home", home, "--port", "0", .. settings.SelectMany(setting => new[] { "--set", setting })])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        started.ErrorDataReceived += (_, _) => { };
        started.BeginErrorReadLine();
        started.BeginOutputReadLine();
        while (true)
        {
            if (await ReadyAsync(credentials, before, home) is { } client) return new(started, client, clock.Elapsed);
            if (started.HasExited || clock.Elapsed > patience) throw new InvalidOperationException("the server did not become ready");
            await Task.Delay(TimeSpan.FromMilliseconds(5));
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        using (var kill = Process.Start("kill", ["-TERM", $"{process.Id}"])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private static async Task<ModelOpsClient?> ReadyAsync(string credentials, DateTime before, string home)
    {
        if (!File.Exists(credentials) || File.GetLastWriteTimeUtc(credentials) == before) return null;
        using var document = JsonDocument.Parse(await File.ReadAllBytesAsync(credentials));
        var client = new ModelOpsClient(
            new Uri(document.RootElement.GetProperty("server").GetString()!), document.RootElement.GetProperty("api_key").GetString(), Path.Combine(home, "certs", "ca.crt"));
        if ((await client.GetReadinessAsync()).NotReady.Count == 0) return client;
        client.Dispose();
        return null;
    }
}
