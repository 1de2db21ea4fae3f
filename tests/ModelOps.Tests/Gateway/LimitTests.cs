using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Gateway;

/// <summary>What one client may take of the server, and how the server ends.</summary>
public sealed class LimitTests : IAsyncLifetime
{
    private readonly string home = TestServer.NewHome();
    private TestServer server = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => server = await TestServer.StartAsync(
        home, CancellationToken.None, "limits:request_bytes=2048", "limits:header_timeout=2s", "limits:body_grace=2s", "limits:body_bytes_per_second=1000");

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        Directory.Delete(home, recursive: true);
    }

    [Fact(Timeout = 120_000)]
    [EmbeddedOnly("no backend is asked")]
    public async Task Post_BodyOverTheLimit_Is413WithItsType()
    {
        using var http = Connect();
        using var body = new StringContent($$"""{ "name": "{{new string('x', 3000)}}" }""", Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(new Uri("api/v1/trainings", UriKind.Relative), body, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains(ProblemTypes.TooLarge, await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact(Timeout = 300_000)]
    public async Task PutBlob_FarLargerThanMemoryAllowed_IsStreamed()
    {
        const long Size = 512L << 20;
        using var http = Connect();
        using (var warm = await http.GetAsync(new Uri("api/v1/jobs", UriKind.Relative), TestContext.Current.CancellationToken)) warm.EnsureSuccessStatusCode();
        var before = PeakMemory();
        using var zeros = new StreamContent(new Zeros(Size), 1 << 20);
        var digest = Convert.ToHexStringLower(await SHA256.HashDataAsync(new Zeros(Size), Cancel));
        using var response = await http.PutAsync(new Uri($"api/v1/blobs/{digest}", UriKind.Relative), zeros, Cancel);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        Assert.InRange(PeakMemory() - before, 0, 128L << 20);
    }

    [Fact(Timeout = 120_000)]
    [EmbeddedOnly("no backend is asked")]
    public async Task Connection_HeaderNeverEnds_IsClosed()
    {
        await using var tls = await RawAsync();
        await tls.WriteAsync("GET /healthz HTTP/1.1\r\nhost: localhost\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Contains("408", await ReadToEndAsync(tls), StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    [EmbeddedOnly("no backend is asked")]
    public async Task Connection_BodyDrips_IsRefusedAsTooSlow()
    {
        await using var tls = await RawAsync();
        var head = $"POST /api/v1/trainings HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {server.ApiKey}\r\n"
            + "content-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
        await tls.WriteAsync(Encoding.ASCII.GetBytes(head), TestContext.Current.CancellationToken);
        Assert.Contains("408", await ReadToEndAsync(tls), StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task Stop_WithAnOpenEventStreamAndARunningJob_TakesLessThan5Seconds()
    {
        var client = server.Client;
        var rows = Path.Combine(home, "many.jsonl");
        await File.WriteAllLinesAsync(rows, Enumerable.Range(0, 200_000).Select(i => $$"""{"prompt":"question {{i}}","completion":"answer {{i}}"}"""), TestContext.Current.CancellationToken);
        var job = await client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, Cancel);
        using var http = Connect();
        using var stream = await http.GetAsync(new Uri($"api/v1/jobs/{job.Id}/events", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, Cancel);
        Assert.Equal("text/event-stream", stream.Content.Headers.ContentType!.MediaType);
        await Eventually.HoldsAsync(async () => (await client.Jobs.GetAsync(job.Id, Cancel)).State == JobState.Running, Cancel);
        var took = await server.StopAsync();
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.Empty(TestServer.Workers(home));
        // What was recorded as running is taken up again.
        await using var next = await TestServer.StartAsync(home, Cancel);
        Assert.Equal(JobState.Succeeded, (await next.Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel)).State);
    }

    private HttpClient Connect()
    {
        var authority = X509CertificateLoader.LoadCertificateFromFile(server.CaCertificate);
        var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { authority },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        var http = new HttpClient(handler) { BaseAddress = server.Client.Server, DefaultRequestVersion = HttpVersion.Version20, Timeout = TimeSpan.FromMinutes(4) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", server.ApiKey);
        return http;
    }

    private async Task<SslStream> RawAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, server.Client.Server.Port, Cancel);
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "localhost", RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null }, Cancel);
        return tls;
    }

    /// <summary>Until the server closes; that it does is what is tested.</summary>
    private static async Task<string> ReadToEndAsync(SslStream tls)
    {
        using var reader = new StreamReader(tls, Encoding.ASCII);
        return await reader.ReadToEndAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(60), Cancel);
    }

    /// <summary>The kernel's high-water mark of the server's memory, in bytes.</summary>
    private long PeakMemory()
    {
        using var process = Process.GetProcessById(server.ProcessId);
        return process.PeakWorkingSet64;
    }

    private sealed class Zeros(long length) : Stream
    {
        private long position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get => position; set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            var read = (int)Math.Min(count, length - position);
            Array.Clear(buffer, offset, read);
            position += read;
            return read;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
