using System.Net;
using System.Net.Security;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using ModelOps.Server.Configuration;

namespace ModelOps.Server.Hosting;

/// <summary>Kestrel as configured: address, TLS, and what one client may take.</summary>
public static partial class Listener
{
    public static void Configure(KestrelServerOptions kestrel, ServerConfig config, ServerCertificates certificates)
    {
        kestrel.AddServerHeader = false;
        var (limits, wanted) = (kestrel.Limits, config.Limits);
        limits.MaxRequestBodySize = wanted.RequestBytes;
        limits.MaxConcurrentConnections = wanted.Connections;
        limits.RequestHeadersTimeout = wanted.HeaderTimeout;
        limits.MinRequestBodyDataRate = new MinDataRate(wanted.BodyBytesPerSecond, wanted.BodyGrace);
        // A reader of an event stream may be slow: what it does not take is bounded by the buffers, not by a rate.
        limits.MinResponseDataRate = null;
        kestrel.Listen(IPAddress.Parse(config.Listen.Address), config.Listen.Port, listen => listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            HandshakeTimeout = wanted.HeaderTimeout,
            OnConnection = context => ValueTask.FromResult(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = certificates.Select(context.ClientHelloInfo.ServerName, FromThisMachine(context.Connection)),
            }),
        }));
    }

    /// <summary>The address under which this machine reaches the server.</summary>
    /// <param name="bound">What Kestrel says, with the port that it took.</param>
    public static string LocalAddress(string bound) => bound
        .Replace("//0.0.0.0:", "//127.0.0.1:", StringComparison.Ordinal)
        .Replace("//[::]:", "//[::1]:", StringComparison.Ordinal);

    public static void WarnWhenOpen(ListenOptions listen, ILogger logger)
    {
        if (!IPAddress.IsLoopback(IPAddress.Parse(listen.Address))) Log.Open(logger, listen.Address);
    }

    private static bool FromThisMachine(ConnectionContext connection) =>
        connection is { RemoteEndPoint: IPEndPoint remote, LocalEndPoint: IPEndPoint local }
        && (IPAddress.IsLoopback(remote.Address) || remote.Address.Equals(local.Address));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning,
            "LISTENING ON {Address}: other machines can reach this server. Whoever has a key can use it; put a firewall before it and see that keys stay secret")]
        public static partial void Open(ILogger logger, string address);
    }
}
