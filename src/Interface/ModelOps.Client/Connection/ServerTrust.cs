using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ModelOps.Client;

/// <summary>The HTTP handler, and which authority it trusts.</summary>
internal static class ServerTrust
{
    public static SocketsHttpHandler CreateHandler(string? caCertificatePath, TimeSpan connectTimeout) => new()
    {
        ConnectTimeout = connectTimeout,
        EnableMultipleHttp2Connections = true,
        // A dead peer is noticed in an event stream that is silent for long.
        KeepAlivePingDelay = TimeSpan.FromSeconds(30),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(15),
        AutomaticDecompression = DecompressionMethods.None,
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = caCertificatePath is null ? null : OnlyTrust(caCertificatePath),
        },
    };

    /// <summary>The chain must end at this authority; host name and validity are checked as always.</summary>
    private static X509ChainPolicy OnlyTrust(string caCertificatePath)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck, // a local authority publishes no revocation list
        };
        policy.CustomTrustStore.ImportFromPemFile(caCertificatePath);
        if (policy.CustomTrustStore.Count == 0)
        {
            throw new CryptographicException($"The file {caCertificatePath} holds no PEM certificate; name the authority's, certs/ca.crt of the server's home.");
        }
        return policy;
    }
}
