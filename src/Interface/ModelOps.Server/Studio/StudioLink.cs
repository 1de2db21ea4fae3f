using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using ModelOps.Server.Hosting;
using ModelOps.Studio;

namespace ModelOps.Server.Studio;

/// <summary>
/// Studio calls the API of its own server over loopback, as any client would. So that limits and the audit log see the browser's address and not
/// this machine's, its requests name it, with a secret of this process that nobody else can send.
/// </summary>
internal static class StudioLink
{
    private const string Header = "X-ModelOps-Browser";
    private static readonly string secret = RandomNumberGenerator.GetHexString(64, lowercase: true);

    public static void AddStudio(this WebApplicationBuilder builder, ServerHome home)
    {
        builder.WebHost.UseStaticWebAssets(); // the build's own output; a published server has the files beside it
        builder.Configuration["ReloadStaticAssetsAtRuntime"] = "false"; // else a fallback for files takes the place of addresses of the API
        builder.Services.AddStudio(Path.Combine(home.Keys, "studio"), services =>
        {
            var bound = services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
            var connections = Connections(home.Authority);
            return new StudioApi(new Uri(Listener.LocalAddress(bound)), browser => new BrowserAddress(browser) { InnerHandler = connections });
        });
    }

    public static void UseStudioAddresses(this WebApplication app) => app.Use((context, next) =>
    {
        if (context.Request.Headers[Header] is [{ } named] && named.Split(' ') is [var given, var text]
            && CryptographicOperations.FixedTimeEquals(System.Text.Encoding.ASCII.GetBytes(given), System.Text.Encoding.ASCII.GetBytes(secret))
            && IPAddress.TryParse(text, out var browser))
        {
            context.Connection.RemoteIpAddress = browser;
        }
        return next(context);
    });

    private static SocketsHttpHandler Connections(string authority) => new()
    {
        EnableMultipleHttp2Connections = true,
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(authority) },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        },
    };

    private sealed class BrowserAddress(IPAddress? address) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (address is not null) request.Headers.TryAddWithoutValidation(Header, $"{secret} {address}");
            return base.SendAsync(request, cancellationToken);
        }
    }
}
