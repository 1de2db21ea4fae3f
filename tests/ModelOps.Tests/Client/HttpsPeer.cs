using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelOps.Client;

namespace ModelOps.Tests.Client;

/// <summary>A server on loopback that speaks the wire contract over real HTTPS, with the routes that a test gives it, and its home folder.</summary>
internal sealed class HttpsPeer : IAsyncDisposable
{
    public const string ApiKey = "mo_test";

    private readonly WebApplication host;
    private readonly List<string> requests = [];

    private HttpsPeer(WebApplication host, string home)
    {
        this.host = host;
        Home = home;
    }

    /// <summary>Folder with credentials.json and certs/ca.crt, as the real server leaves them.</summary>
    public string Home { get; }

    public string CaPath => Path.Combine(Home, "certs", "ca.crt");

    public Uri Address { get; private set; } = null!;

    /// <summary>Every request so far: <c>METHOD /path PROTOCOL key</c>.</summary>
    public IReadOnlyList<string> Requests
    {
        get
        {
            lock (requests)
            {
                return [.. requests];
            }
        }
    }

    public static async Task<HttpsPeer> StartAsync(Action<WebApplication> routes)
    {
        var home = Directory.CreateTempSubdirectory("modelops-peer-").FullName;
        var certificate = MakeCertificates(home);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http1AndHttp2;
            listen.UseHttps(certificate);
        }));
        builder.Services.Configure<JsonOptions>(json =>
        {
            json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, WireJson.Default);
        });
        var app = builder.Build();
        var peer = new HttpsPeer(app, home);
        app.Use(async (context, next) =>
        {
            lock (peer.requests)
            {
                var request = context.Request;
                peer.requests.Add($"{request.Method} {request.Path}{request.QueryString} {request.Protocol} {request.Headers.Authorization}");
            }
            await next(context);
        });
        app.MapGet("/readyz", () => new Readiness("ready", []));
        routes(app);
        await app.StartAsync();
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        peer.Address = new Uri(address);
        await File.WriteAllTextAsync(
            Path.Combine(home, "credentials.json"), $$"""{"server":"{{address}}","api_key":"{{ApiKey}}","ca":"certs/ca.crt"}""");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(Path.Combine(home, "credentials.json"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
        return peer;
    }

    public ModelOpsClient Connect(ClientOptions? options = null) => new(Address, ApiKey, CaPath, options);

    /// <summary>A problem as the server writes it.</summary>
    public static IResult Problem(int status, string type, string detail, params string[] errors) => Results.Json(
        new Problem { Type = type, Title = "Refused", Status = status, Detail = detail, Errors = errors },
        WireJson.Default.Problem, "application/problem+json", status);

    /// <summary>Writes one server-sent event and sends it off.</summary>
    public static async Task SendEventAsync(HttpContext context, string data, long? id = null)
    {
        if (!context.Response.HasStarted)
        {
            context.Response.ContentType = "text/event-stream";
        }
        await context.Response.WriteAsync(id is null ? $"data: {data}\n\n" : $"id: {id}\ndata: {data}\n\n");
        await context.Response.Body.FlushAsync();
    }

    public static async Task SendEventAsync(HttpContext context, JobEvent jobEvent) =>
        await SendEventAsync(context, JsonSerializer.Serialize(jobEvent, WireJson.Default.JobEvent), jobEvent.Sequence);

    public async ValueTask DisposeAsync()
    {
        using var timeout = new CancellationTokenSource(TimeSpan.Zero); // open event streams need not end by themselves
        await host.StopAsync(timeout.Token);
        await host.DisposeAsync();
        Directory.Delete(Home, recursive: true);
    }

    /// <summary>A local authority, whose certificate goes into the home folder, and a leaf for 127.0.0.1 issued by it.</summary>
    private static X509Certificate2 MakeCertificates(string home)
    {
        var (from, to) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(2));
        using var caKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var caRequest = new CertificateRequest("CN=Test authority", caKey, HashAlgorithmName.SHA256);
        caRequest.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var ca = caRequest.CreateSelfSigned(from, to);
        Directory.CreateDirectory(Path.Combine(home, "certs"));
        File.WriteAllText(Path.Combine(home, "certs", "ca.crt"), ca.ExportCertificatePem());

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var leaf = request.Create(ca, from, to.AddDays(-1), RandomNumberGenerator.GetBytes(8));
        return leaf.CopyWithPrivateKey(key);
    }
}
