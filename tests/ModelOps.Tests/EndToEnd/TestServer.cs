using System.Diagnostics;
using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A real server process on a home folder of its own and any free port.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly ServerProcess process;

    private TestServer(ServerProcess process, string home, string apiKey, ModelOpsClient client)
    {
        this.process = process;
        Home = home;
        ApiKey = apiKey;
        Client = client;
    }

    public string Home { get; }
    public string ApiKey { get; }
    public ModelOpsClient Client { get; }
    public int ProcessId => process.Id;
    public string CaCertificate => Path.Combine(Home, "certs", "ca.crt");
    public string Log => process.Log;

    public static string NewHome() => Directory.CreateTempSubdirectory("modelops-test-").FullName;

    /// <param name="settings">Each <c>section:key=value</c>.</param>
    public static Task<TestServer> StartAsync(string home, CancellationToken cancellationToken, params string[] settings) =>
        StartAsync(home, new Dictionary<string, string>(StringComparer.Ordinal), cancellationToken, settings);

    /// <param name="environment">Variables besides those of this process and of the <see cref="Backends"/>.</param>
    public static async Task<TestServer> StartAsync(
        string home, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken, params string[] settings) =>
        await ReadyAsync(await ServerProcess.LaunchAsync(home, environment, settings), home, cancellationToken);

    /// <summary>On a home folder that is a small disk of its own, and in it the objects on another: tmpfs, in a mount namespace that ends with the server.</summary>
    public static async Task<TestServer> StartOnSmallDisksAsync(string home, int megabytes, int objectMegabytes, CancellationToken cancellationToken)
    {
        const string Mount = """mount -t tmpfs -o "size=$1m" none "$0" && mkdir -m 700 "$0/objects" && mount -t tmpfs -o "size=$2m" none "$0/objects" && shift 2 && exec "$@" """;
        string[] through = ["unshare", "--map-root-user", "--mount", "sh", "-c", Mount, home, $"{megabytes}", $"{objectMegabytes}"];
        var launched = await ServerProcess.LaunchAsync(through, home, new Dictionary<string, string>(StringComparer.Ordinal));
        return await ReadyAsync(launched, $"/proc/{launched.Id}/root{home}", cancellationToken);
    }

    /// <param name="home">As this process sees it.</param>
    private static async Task<TestServer> ReadyAsync(ServerProcess launched, string home, CancellationToken cancellationToken)
    {
        try
        {
            await launched.ReadyAsync(cancellationToken);
            using var credentials = JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(home, "credentials.json"), cancellationToken));
            var apiKey = credentials.RootElement.GetProperty("api_key").GetString()!;
            var address = new Uri(credentials.RootElement.GetProperty("server").GetString()!);
            return new(launched, home, apiKey, new ModelOpsClient(address, apiKey, Path.Combine(home, "certs", "ca.crt")));
        }
        catch
        {
            await launched.KillAsync();
            launched.Dispose();
            throw;
        }
    }

    /// <summary>Pulls the plug.</summary>
    public async Task KillAsync()
    {
        await process.KillAsync();
        Client.Dispose();
    }

    /// <summary>Asks it to stop, and waits.</summary>
    /// <returns>How long it took.</returns>
    public async Task<TimeSpan> StopAsync()
    {
        var clock = Stopwatch.StartNew();
        var code = await process.StopAsync();
        Assert.True(code == 0, $"it ended with code {code}:\n{Log}");
        return clock.Elapsed;
    }

    /// <summary>Asks it to stop, and waits.</summary>
    /// <returns>Its exit code.</returns>
    public Task<int> ExitAsync() => process.StopAsync();

    /// <summary>Worker processes whose command line names this home, by the kernel's word.</summary>
    public static IReadOnlyList<int> Workers(string home, string role = "") =>
    [
        .. Directory.EnumerateDirectories("/proc")
            .Where(folder => int.TryParse(Path.GetFileName(folder), out _))
            .Where(folder => CommandLine(folder) is var line && line.Contains("ModelOps.Worker", StringComparison.Ordinal) && line.Contains(home, StringComparison.Ordinal) && (role.Length == 0 || line.Contains($"--role\0{role}\0", StringComparison.Ordinal)))
            .Select(folder => int.Parse(Path.GetFileName(folder))),
    ];

    /// <summary>As abort(3) does it: the runtime's handler takes the first signal and gives the default back, the next one ends the process.</summary>
    public static async Task AbortAsync(int process, CancellationToken cancellationToken)
    {
        using var aborted = Process.GetProcessById(process);
        await Eventually.HoldsAsync(
            async () =>
            {
                using var signal = Process.Start("kill", ["-ABRT", $"{process}"]);
                await signal.WaitForExitAsync(cancellationToken);
                return signal.ExitCode != 0 || aborted.HasExited;
            },
            cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await process.StopAsync();
        Client.Dispose();
        process.Dispose();
    }

    /// <param name="folder">The process, below /proc.</param>
    public static string CommandLine(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline"));
        }
        catch (IOException)
        {
            return ""; // it ended meanwhile
        }
        catch (UnauthorizedAccessException)
        {
            return "";
        }
    }
}
