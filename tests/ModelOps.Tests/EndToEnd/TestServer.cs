using System.Diagnostics;
using System.Text;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A real server process on a home folder of its own and any free port.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly Process process;
    private readonly StringBuilder log;

    private TestServer(Process process, StringBuilder log, string home, string apiKey, ModelOpsClient client)
    {
        this.process = process;
        this.log = log;
        Home = home;
        ApiKey = apiKey;
        Client = client;
    }

    public string Home { get; }
    public string ApiKey { get; }
    public ModelOpsClient Client { get; }
    public int ProcessId => process.Id;
    public string CaCertificate => Path.Combine(Home, "certs", "ca.crt");

    public string Log
    {
        get
        {
            lock (log) return log.ToString();
        }
    }

    public static string NewHome() => Directory.CreateTempSubdirectory("modelops-test-").FullName;

    /// <param name="settings">Each <c>section:key=value</c>.</param>
    public static Task<TestServer> StartAsync(string home, CancellationToken cancellationToken, params string[] settings) =>
        StartAsync(home, new Dictionary<string, string>(StringComparer.Ordinal), cancellationToken, settings);

    /// <param name="environment">Variables besides those of this process and of the <see cref="Backends"/>.</param>
    public static async Task<TestServer> StartAsync(
        string home, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken, params string[] settings)
    {
        var start = new ProcessStartInfo(Path.Combine(RepositoryRoot.Path, "artifacts/bin/ModelOps.Server/release/ModelOps.Server"), ["--home", home, "--port", "0", .. settings.SelectMany(setting => new[] { "--set", setting })])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        foreach (var (name, value) in (await Backends.EnvironmentAsync(home)).Concat(environment)) start.Environment[name] = value;
        var child = new Process { StartInfo = start };
        var lines = new StringBuilder();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        child.ErrorDataReceived += (_, line) =>
        {
            lock (lines) lines.AppendLine(line.Data);
            if (line.Data?.Contains("modelops: ready on ", StringComparison.Ordinal) == true) ready.TrySetResult();
            else if (line.Data is null) ready.TrySetException(new InvalidOperationException($"the server ended before it was ready:\n{lines}"));
        };
        child.Start();
        child.BeginErrorReadLine();
        await ready.Task.WaitAsync(patience, cancellationToken);
        using var credentials = JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(home, "credentials.json"), cancellationToken));
        var apiKey = credentials.RootElement.GetProperty("api_key").GetString()!;
        var address = new Uri(credentials.RootElement.GetProperty("server").GetString()!);
        return new(child, lines, home, apiKey, new ModelOpsClient(address, apiKey, Path.Combine(home, "certs", "ca.crt")));
    }

    /// <summary>Pulls the plug.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync().WaitAsync(patience);
        Client.Dispose();
    }

    /// <summary>Asks it to stop, and waits.</summary>
    /// <returns>How long it took.</returns>
    public async Task<TimeSpan> StopAsync()
    {
        var clock = Stopwatch.StartNew();
        if (!process.HasExited)
        {
            using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            await process.WaitForExitAsync().WaitAsync(patience);
        }
        return clock.Elapsed;
    }

    /// <summary>Worker processes whose command line names this home, by the kernel's word.</summary>
    public static IReadOnlyList<int> Workers(string home, string role = "") =>
    [
        .. Directory.EnumerateDirectories("/proc")
            .Where(folder => int.TryParse(Path.GetFileName(folder), out _))
            .Where(folder => CommandLine(folder) is var line && line.Contains("ModelOps.Worker", StringComparison.Ordinal) && line.Contains(home, StringComparison.Ordinal) && line.Contains(role, StringComparison.Ordinal))
            .Select(folder => int.Parse(Path.GetFileName(folder))),
    ];

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Client.Dispose();
        process.Dispose();
    }

    private static string CommandLine(string folder)
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
