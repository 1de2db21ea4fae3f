using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
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

    public async IAsyncEnumerable<TimedPiece> AnswerAsync(string prompt, int maxTokens, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var body = JsonSerializer.Serialize(new
        {
            model = "model",
            prompt,
            max_tokens = maxTokens,
            temperature = 0,
            stream = true,
            stream_options = new { include_usage = true },
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json"), Version = HttpVersion.Version20 };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        response.EnsureSuccessStatusCode();
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(cancellationToken))
        {
            if (item.Data == "[DONE]") yield break;
            using var chunk = JsonDocument.Parse(item.Data);
            var choices = chunk.RootElement.GetProperty("choices");
            yield return new(
                choices.GetArrayLength() > 0 ? choices[0].GetProperty("text").GetString()! : "",
                chunk.RootElement.TryGetProperty("usage", out var usage) ? usage.GetProperty("completion_tokens").GetInt32() : 0);
        }
    }

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
        return new HttpClient(Handler(home))
#pragma warning restore CA2000
        {
            BaseAddress = new Uri(document.RootElement.GetProperty("server").GetString()!),
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", document.RootElement.GetProperty("api_key").GetString()) },
        };
    }

    private static SocketsHttpHandler Handler(string home) => new()
    {
        EnableMultipleHttp2Connections = true,
        SslOptions =
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(Authority(home)) },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        },
    };
}
