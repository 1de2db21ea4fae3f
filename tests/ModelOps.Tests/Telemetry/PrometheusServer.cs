using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Telemetry;

/// <summary>
/// A real Prometheus with the configuration of deploy/observability, which scrapes one server. Where it is not installed the tests are skipped, and fail
/// where CI is set.
/// </summary>
internal sealed class PrometheusServer : IAsyncDisposable
{
    private readonly UserShell shell;
    private readonly Process process;
    private readonly HttpClient http;

    private PrometheusServer(UserShell shell, Process process, HttpClient http) => (this.shell, this.process, this.http) = (shell, process, http);

    public static string Shipped => Path.Combine(RepositoryRoot.Path, "deploy/observability/prometheus");

    /// <summary>Skips, or fails in CI, where Prometheus and promtool are missing.</summary>
    public static void Require()
    {
        const string missing = "tests of the shipped rules need prometheus with promtool: ./test --install";
        var folders = Environment.GetEnvironmentVariable("PATH")!.Split(':');
        if (folders.Any(path => File.Exists(Path.Combine(path, "promtool"))) && folders.Any(path => File.Exists(Path.Combine(path, "prometheus")))) return;
        if (Environment.GetEnvironmentVariable("CI") != "true") Assert.Skip(missing);
        Assert.Fail(missing);
    }

    /// <summary>A copy of the shipped configuration in a folder, for a server; it scrapes four times a second.</summary>
    public static async Task CopyAsync(Uri server, string folder, CancellationToken cancel)
    {
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(Shipped)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        var config = Path.Combine(folder, "prometheus.yml");
        var text = await File.ReadAllTextAsync(config, cancel);
        Assert.Contains("modelops.example.org:8000", text, StringComparison.Ordinal);
        await File.WriteAllTextAsync(
            config, text.Replace("modelops.example.org:8000", server.Authority, StringComparison.Ordinal).Replace("_interval: 15s", "_interval: 250ms", StringComparison.Ordinal), cancel);
    }

    /// <summary>Completed by the commands of its README.</summary>
    public static async Task<PrometheusServer> StartAsync(TestServer server, CancellationToken cancel)
    {
        var user = new UserShell(server.Home);
        var made = Path.Combine(user.Folder, "prometheus");
        await CopyAsync(server.Client.Server, made, cancel);
        var (code, output) = await user.RunAsync($"set -euo pipefail\n{UserShell.Blocks("deploy/observability/README.md", "sh").Single()}", cancel);
        Assert.True(code == 0, $"the commands of deploy/observability/README.md ended with {code}:\n{output}");
        for (var attempt = 0; attempt < 20; attempt++)
        {
            // Below the ports that the kernel gives to outgoing connections.
            var port = Random.Shared.Next(20_000, 32_000).ToString(CultureInfo.InvariantCulture);
            var start = new ProcessStartInfo(
                "prometheus",
                [$"--config.file={Path.Combine(made, "prometheus.yml")}", $"--storage.tsdb.path={Path.Combine(made, "data")}", $"--web.listen-address=127.0.0.1:{port}"])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            };
            var started = Process.Start(start)!;
            started.ErrorDataReceived += (_, _) => { };
            started.OutputDataReceived += (_, _) => { };
            started.BeginErrorReadLine();
            started.BeginOutputReadLine();
            var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            await Eventually.HoldsAsync(async () => started.HasExited || await IsReadyAsync(client, cancel), cancel);
            if (!started.HasExited) return new(user, started, client);
            client.Dispose();
            started.Dispose();
        }
        throw new InvalidOperationException("prometheus found no free port");
    }

    /// <returns>The value of each series by its labels.</returns>
    public async Task<IReadOnlyList<(IReadOnlyDictionary<string, string> Labels, double Value)>> QueryAsync(string promql, CancellationToken cancel)
    {
        var answer = JsonElement.Parse(await http.GetStringAsync(new Uri($"/api/v1/query?query={Uri.EscapeDataString(promql)}", UriKind.Relative), cancel));
        return
        [
            .. answer.GetProperty("data").GetProperty("result").EnumerateArray().Select(series => (
                (IReadOnlyDictionary<string, string>)series.GetProperty("metric").EnumerateObject().ToDictionary(label => label.Name, label => label.Value.GetString()!),
                double.Parse(series.GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture))),
        ];
    }

    /// <summary>The shipped rules that Prometheus has loaded, alerts and recorded ones, whose last evaluation went well.</summary>
    public async Task<int> HealthyRulesAsync(CancellationToken cancel)
    {
        var answer = JsonElement.Parse(await http.GetStringAsync(new Uri("/api/v1/rules", UriKind.Relative), cancel));
        return answer.GetProperty("data").GetProperty("groups").EnumerateArray().SelectMany(group => group.GetProperty("rules").EnumerateArray())
            .Count(rule => rule.GetProperty("health").GetString() == "ok");
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        process.Dispose();
        http.Dispose();
        shell.Dispose();
    }

    private static async Task<bool> IsReadyAsync(HttpClient client, CancellationToken cancel)
    {
        try
        {
            using var response = await client.GetAsync(new Uri("/-/ready", UriKind.Relative), cancel);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
