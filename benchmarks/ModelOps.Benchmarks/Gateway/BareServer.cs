using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ModelOps.Benchmarks.Gateway;

/// <summary>The least that can stand between a client and the engine over HTTPS: Kestrel with one endpoint, in this process, which writes each piece as an event.</summary>
internal sealed class BareServer : IAnswering, IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly HttpClient http;

    private BareServer(WebApplication app, HttpClient http) => (this.app, this.http) = (app, http);

    public static async Task<BareServer> StartAsync(IAnswering engine, CancellationToken cancellationToken)
    {
        var certificate = NewCertificate();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        var server = builder.Build();
        server.MapPost("/v1/completions", context => AnswerAsync(engine, context));
        await server.StartAsync(cancellationToken);
#pragma warning disable CA2000 // the client disposes its handler
        return new(server, new HttpClient(StreamedCompletion.Trusting(certificate)) { BaseAddress = new Uri(server.Urls.First()) });
#pragma warning restore CA2000
    }

    public IAsyncEnumerable<TimedPiece> AnswerAsync(string prompt, int maxTokens, CancellationToken cancellationToken) =>
        StreamedCompletion.AskAsync(http, prompt, maxTokens, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await app.DisposeAsync();
    }

    private static async Task AnswerAsync(IAnswering engine, HttpContext context)
    {
        using var asked = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        context.Response.ContentType = "text/event-stream";
        var (prompt, most) = (asked.RootElement.GetProperty("prompt").GetString()!, asked.RootElement.GetProperty("max_tokens").GetInt32());
        await foreach (var piece in engine.AnswerAsync(prompt, most, context.RequestAborted))
        {
            var chunk = JsonSerializer.SerializeToUtf8Bytes(new { choices = new[] { new { text = piece.Text } }, usage = new { completion_tokens = piece.Tokens } });
            await context.Response.BodyWriter.WriteAsync((byte[])[.. "data: "u8, .. chunk, .. "\n\n"u8], context.RequestAborted);
        }
        await context.Response.BodyWriter.WriteAsync("data: [DONE]\n\n"u8.ToArray(), context.RequestAborted);
    }

    private static X509Certificate2 NewCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), password: null);
    }
}
