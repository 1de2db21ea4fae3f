using System.Net;
using System.Net.Security;
using System.Net.Sockets;
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

    /// <summary>Looks before anything is started: Kestrel and its host would log what it throws, each with all frames.</summary>
    /// <exception cref="ServerStartException">The port is taken, or not for this user.</exception>
    public static void ThrowIfTaken(ListenOptions listen)
    {
        if (listen.Port == 0) return;
        using var probe = new TcpListener(IPAddress.Parse(listen.Address), listen.Port);
        try
        {
            probe.Start();
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new ServerStartException(
                $"cannot listen on {listen.Address}:{listen.Port}: another program uses the port; end it, or choose another port with --port, 0 for any free one", e)
            {
                ExitCode = ServerStartException.Conflict,
            };
        }
        catch (SocketException e)
        {
            throw new ServerStartException($"cannot listen on {listen.Address}:{listen.Port}: {e.Message}; choose another port with --port, or another address with --set listen:address=", e);
        }
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
