using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelOps.Client;
using ModelOps.Server.Hosting;
using ModelOps.Server.Telemetry;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Telemetry;

/// <summary>What a server tells of itself: metrics, traces, logs, request ids.</summary>
public sealed class TelemetryTests : IAsyncLifetime
{
    private readonly Channel<(string Path, byte[] Body)> received = Channel.CreateUnbounded<(string, byte[])>();
    private readonly string home = TestServer.NewHome();
    private WebApplication collector = null!;
    private TestServer server = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        collector = builder.Build();
        collector.MapPost("/{**path}", async (HttpContext context) =>
        {
            Assert.Equal("application/x-protobuf", context.Request.ContentType);
            Assert.Equal("let me in", context.Request.Headers["x-collector-key"]);
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            received.Writer.TryWrite((context.Request.Path, body.ToArray()));
            return Results.Bytes([], "application/x-protobuf");
        });
        await collector.StartAsync();
        server = await TestServer.StartAsync(
            home, CancellationToken.None, $"telemetry:otlp_endpoint={collector.Urls.First()}", "telemetry:otlp_headers:x-collector-key=let me in", "telemetry:logs=json");
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        await collector.DisposeAsync();
        Directory.Delete(home, recursive: true);
    }

    [Fact(Timeout = 120_000)]
    public async Task Metrics_AfterRequests_AreCompleteAndWellFormed()
    {
        using var http = Connect(server.ApiKey);
        (await http.GetAsync(new Uri("api/v1/jobs", UriKind.Relative), TestContext.Current.CancellationToken)).Dispose();
        (await http.GetAsync(new Uri("api/v1/jobs/nobody", UriKind.Relative), Cancel)).Dispose();
        using var response = await http.GetAsync(new Uri("metrics", UriKind.Relative), Cancel);
        Assert.StartsWith("text/plain", response.Content.Headers.ContentType!.ToString(), StringComparison.Ordinal);
        var samples = PrometheusText.Parse(await response.Content.ReadAsStringAsync(Cancel));

        Assert.Equal(1, samples.Single(sample => sample.Name == "http_server_request_duration_seconds_count"
            && sample.Labels.GetValueOrDefault("http_route") == "/api/v1/jobs/{id}" && sample.Labels["http_response_status_code"] == "404").Value);
        Assert.Equal(1, samples.Single(sample => sample.Name == "modelops_problems_total" && sample.Labels["error_type"] == "not-found").Value);
        Assert.Contains(samples, sample => sample.Name == "http_server_active_requests" && sample.Value >= 1);
        Assert.Contains(samples, sample => sample.Name == "process_cpu_time_seconds_total" && sample.Labels["cpu_mode"] == "user" && sample.Value > 0);
        Assert.InRange(samples.Single(sample => sample.Name == "process_memory_usage_bytes").Value, 1e6, 1e11);
        Assert.InRange(samples.Single(sample => sample.Name == "process_thread_count").Value, 2, 10_000);
        Assert.InRange(samples.Single(sample => sample.Name == "process_uptime_seconds").Value, 0.1, 3600);
    }

    [Fact(Timeout = 120_000)]
    public async Task Metrics_WithoutAKey_AreRefused()
    {
        using var http = Connect(key: null);
        using var response = await http.GetAsync(new Uri("metrics", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact(Timeout = 120_000)]
    public async Task RequestId_WellFormed_ComesBackAndStandsInTheLogWithTraceAndPrincipal()
    {
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        using var http = Connect(server.ApiKey);
        using var request = new HttpRequestMessage(HttpMethod.Post, "api/v1/deployments") { Version = HttpVersion.Version20 };
        request.Headers.Add("x-request-id", "my-request.1");
        request.Headers.Add("traceparent", $"00-{Trace}-b7ad6b7169203331-01");
        request.Content = new StringContent("""{ "name": "x", "artifact": "none" }""", Encoding.UTF8, "application/json");
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal("my-request.1", Assert.Single(response.Headers.GetValues("x-request-id")));
        await Eventually.HoldsAsync(() => Lines().Any(line => Text(line, "request_id") == "my-request.1"), Cancel);
        var logged = Lines().First(line => Text(line, "request_id") == "my-request.1");
        Assert.Equal(Trace, Text(logged, "trace_id"));
        Assert.Equal("admin", Text(logged, "principal"));
        Assert.Equal("info", Text(logged, "level"));
        Assert.Equal("ModelOps.Server.Requests", Text(logged, "logger"));
        Assert.Equal(404, logged.GetProperty("attributes").GetProperty("StatusCode").GetInt32());
    }

    [Theory(Timeout = 120_000)]
    [InlineData("has spaces")]
    [InlineData("quote\"d")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789")]
    public async Task RequestId_IllFormed_IsReplaced(string id)
    {
        using var http = Connect(key: null);
        using var request = new HttpRequestMessage(HttpMethod.Get, "healthz");
        request.Headers.TryAddWithoutValidation("x-request-id", id);
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Matches("^req_[0-9a-f]{24}$", Assert.Single(response.Headers.GetValues("x-request-id")));
    }

    [Fact(Timeout = 120_000)]
    public async Task Otlp_WithACollector_GetsTracesMetricsAndLogs()
    {
        using var http = Connect(server.ApiKey);
        using var request = new HttpRequestMessage(HttpMethod.Get, "api/v1/jobs");
        request.Headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        (await http.SendAsync(request, TestContext.Current.CancellationToken)).Dispose();
        var ingestion = await server.Client.Datasets.CreateVersionAsync(
            "rows", Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl"), new IngestionOptions { MaxBad = "0" }, progress: null, Cancel);
        await server.Client.Jobs.WatchAsync(ingestion.Id, cancellationToken: Cancel).LastAsync(Cancel);
        await server.StopAsync(); // flushes, its workers too
        received.Writer.Complete();
        var bodies = new Dictionary<string, List<byte[]>>(StringComparer.Ordinal);
        await foreach (var (path, body) in received.Reader.ReadAllAsync(Cancel))
        {
            if (!bodies.TryGetValue(path, out var list)) bodies[path] = list = [];
            list.Add(body);
        }
        Assert.Contains(bodies["/v1/traces"], body => Contains(body, Convert.FromHexString("0af7651916cd43dd8448eb211c80319c")) && Contains(body, "GET /api/v1/jobs"u8));
        var job = Convert.FromHexString(ingestion.TraceId!);
        foreach (var name in (string[])["workflow DatasetIngestion", "RecordDatasetVersion", "IngestDataset", "modelops-worker-data"])
            Assert.Contains(bodies["/v1/traces"], body => Contains(body, job) && Contains(body, Encoding.UTF8.GetBytes(name)));
        Assert.Contains(bodies["/v1/metrics"], body => Contains(body, "http.server.request.duration"u8) && Contains(body, "process.uptime"u8));
        Assert.Contains(bodies["/v1/logs"], body => Contains(body, "ready on"u8));
    }

    [Fact]
    public void ServerMetrics_EveryInstrument_HasItsUnit()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var units = new ConcurrentDictionary<string, string?>(StringComparer.Ordinal);
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name != ServerMetrics.MeterName) return;
                units[instrument.Name] = instrument.Unit;
                self.EnableMeasurementEvents(instrument);
            },
        };
        var counted = new List<(long, string?)>();
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            if (instrument.Name == "modelops.problems") counted.Add((value, tags[0].Value as string));
        });
        listener.Start();
        using var folder = ServerHome.Open(TestServer.NewHome());
        using var metrics = new ServerMetrics(services.GetRequiredService<IMeterFactory>(), folder);
        metrics.Problem(ProblemTypes.NotFound, 404);
        Assert.Equal("s", units["process.cpu.time"]);
        Assert.Equal("By", units["process.memory.usage"]);
        Assert.Equal("{thread}", units["process.thread.count"]);
        Assert.Equal("s", units["process.uptime"]);
        Assert.Equal("By", units["modelops.home.disk.free"]);
        Assert.Equal([(1, "not-found")], counted);
        Directory.Delete(folder.Root, recursive: true);
    }

    private static bool Contains(byte[] body, ReadOnlySpan<byte> part) => body.AsSpan().IndexOf(part) >= 0;

    private static string? Text(JsonElement line, string name) => line.TryGetProperty(name, out var value) ? value.GetString() : null;

    private List<JsonElement> Lines() =>
    [
        .. server.Log.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            using var document = JsonDocument.Parse(line); // every line is one document
            return document.RootElement.Clone();
        }),
    ];

    private HttpClient Connect(string? key)
    {
        var authority = X509CertificateLoader.LoadCertificateFromFile(server.CaCertificate);
        var handler = new SocketsHttpHandler { ActivityHeadersPropagator = null };
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { authority },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        var http = new HttpClient(handler) { BaseAddress = server.Client.Server };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }
}
