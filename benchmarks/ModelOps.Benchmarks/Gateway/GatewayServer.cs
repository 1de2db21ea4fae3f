using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Benchmarks.Gateway;

/// <summary>A server process with the model deployed, asked over HTTPS with a key.</summary>
internal sealed class GatewayServer : IAnswering, IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(2);
    private readonly Process process;
    private readonly HttpClient http;

    private GatewayServer(Process process, HttpClient http) => (this.process, this.http) = (process, http);

    /// <param name="folder">What is deployed: a folder with a .gguf file.</param>
    public static async Task<GatewayServer> StartAsync(
        string program, string home, string folder, int slots, int contextSize, int threads, CancellationToken cancellationToken)
    {
        var started = Process.Start(new ProcessStartInfo(
            program,
            ["--home", home, "--port", "0", "--set", $"workers:inference:threads={threads.ToString(CultureInfo.InvariantCulture)}", "--set", "rate_limits:enabled=false"])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        started.ErrorDataReceived += (_, _) => { };
        started.BeginErrorReadLine();
        started.BeginOutputReadLine();
#pragma warning disable CA2000 // the server disposes it
        var server = new GatewayServer(started, await ConnectAsync(started, home, cancellationToken));
#pragma warning restore CA2000
        try
        {
            using var client = new ModelOpsClient(server.http.BaseAddress!, server.http.DefaultRequestHeaders.Authorization!.Parameter, Authority(home));
            await client.Artifacts.PushAsync("model", "gguf", await LocalFiles.HashFolderAsync(folder, cancellationToken), progress: null, cancellationToken);
            await client.Deployments.CreateAsync(new CreateDeployment { Name = "model", Artifact = "model", Slots = slots, ContextSize = contextSize }, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public IAsyncEnumerable<TimedPiece> AnswerAsync(string prompt, int maxTokens, CancellationToken cancellationToken) =>
        StreamedCompletion.AskAsync(http, prompt, maxTokens, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        using (var kill = Process.Start("kill", ["-TERM", $"{process.Id}"])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private static string Authority(string home) => Path.Combine(home, "certs", "ca.crt");

    private static async Task<HttpClient> ConnectAsync(Process process, string home, CancellationToken cancellationToken)
    {
        var credentials = Path.Combine(home, "credentials.json");
        var clock = Stopwatch.StartNew();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!File.Exists(credentials))
        {
            if (process.HasExited || clock.Elapsed > patience) throw new InvalidOperationException("the server did not start");
            await tick.WaitForNextTickAsync(cancellationToken);
        }
        using var document = JsonDocument.Parse(await File.ReadAllBytesAsync(credentials, cancellationToken));
#pragma warning disable CA2000 // the client disposes its handler
        return new HttpClient(StreamedCompletion.Trusting(X509CertificateLoader.LoadCertificateFromFile(Authority(home))))
#pragma warning restore CA2000
        {
            BaseAddress = new Uri(document.RootElement.GetProperty("server").GetString()!),
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", document.RootElement.GetProperty("api_key").GetString()) },
        };
    }
}
