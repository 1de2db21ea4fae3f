using System.Net;
using System.Net.Security;

namespace ModelOps.Server.Hosting;

/// <summary>
/// The certificates in use: the local leaf, and the configured one if there is one. The configured one answers all but callers from this
/// machine that ask for it by number or as localhost, for which it has no name: they trust the local CA.
/// </summary>
public sealed partial class ServerCertificates : IDisposable
{
    private static readonly TimeSpan warnBefore = TimeSpan.FromDays(14);
    private readonly string folder;
    private readonly IPAddress address;
    private readonly TlsOptions options;
    private readonly TimeProvider time;
    private volatile SslStreamCertificateContext local;
    private volatile OwnCertificate? own;
    private DateTime ownWritten;

    private ServerCertificates(string folder, IPAddress address, TlsOptions options, TimeProvider time, OwnCertificate? own)
    {
        (this.folder, this.address, this.options, this.time, this.own) = (folder, address, options, time, own);
        ownWritten = Written();
#pragma warning disable CA2000 // the context has it, and Dispose takes it from there
        local = SslStreamCertificateContext.Create(LocalCertificates.Ensure(folder, address, time), [], offline: true);
#pragma warning restore CA2000
    }

    /// <param name="errors">Every fault of the configured certificate.</param>
    /// <returns>Null when there are faults.</returns>
    public static ServerCertificates? Load(string folder, IPAddress address, TlsOptions options, TimeProvider time, List<string> errors)
    {
#pragma warning disable CA2000 // the result owns it
        var configured = options.Certificate is null ? null : OwnCertificate.Load(options, time, errors);
#pragma warning restore CA2000
        return errors.Count > 0 ? null : new(folder, address, options, time, configured);
    }

    /// <param name="name">What the caller asked for (SNI); empty for an IP address.</param>
    /// <param name="sameMachine">Whether the caller is on this machine.</param>
    public SslStreamCertificateContext Select(string? name, bool sameMachine)
    {
        if (own is not { } configured) return local;
        var byNumber = string.IsNullOrEmpty(name);
        if (!sameMachine || (!byNumber && name != "localhost")) return configured.Context;
        return !byNumber && configured.Certificate.MatchesHostname(name!) ? configured.Context : local;
    }

    /// <summary>Renews the local leaf before its end, and takes up the configured certificate when its file was replaced.</summary>
    public void Refresh(ILogger logger)
    {
        try
        {
#pragma warning disable CA2000 // disposed when it is the one in use, kept otherwise
            var leaf = LocalCertificates.Ensure(folder, address, time);
#pragma warning restore CA2000
            if (leaf.Thumbprint == local.TargetCertificate.Thumbprint) leaf.Dispose();
            else
            {
                local = SslStreamCertificateContext.Create(leaf, [], offline: true); // handshakes under way still use the old one: it is left to the collector
                Log.Renewed(logger, leaf.NotAfter);
            }
        }
        catch (ServerStartException e)
        {
            Log.NotRenewed(logger, e.Message);
        }
        if (own is null) return;
        if (Written() is var written && written != ownWritten)
        {
            var errors = new List<string>();
#pragma warning disable CA2000 // kept as the current one; its predecessor may still be in a handshake and is left to the collector
            if (OwnCertificate.Load(options, time, errors) is { } replaced)
#pragma warning restore CA2000
            {
                (own, ownWritten) = (replaced, written);
                Log.Replaced(logger, replaced.Certificate.Subject, replaced.Certificate.NotAfter);
            }
            foreach (var error in errors) Log.NotReplaced(logger, error);
        }
        if (own.Certificate.NotAfter.ToUniversalTime() < time.GetUtcNow().UtcDateTime + warnBefore)
            Log.EndsSoon(logger, options.Certificate!, own.Certificate.NotAfter);
    }

    public void Dispose()
    {
        local.TargetCertificate.Dispose();
        own?.Dispose();
    }

    private DateTime Written() => options.Certificate is { } path ? File.GetLastWriteTimeUtc(path) : default;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "the local certificate was renewed and ends {End:yyyy-MM-dd}")]
        public static partial void Renewed(ILogger logger, DateTime end);

        [LoggerMessage(2, LogLevel.Error, "the local certificate could not be renewed: {Reason}")]
        public static partial void NotRenewed(ILogger logger, string reason);

        [LoggerMessage(3, LogLevel.Information, "the certificate of {Subject} was replaced and ends {End:yyyy-MM-dd}")]
        public static partial void Replaced(ILogger logger, string subject, DateTime end);

        [LoggerMessage(4, LogLevel.Error, "the replaced certificate is not used, the former one stays: {Fault}")]
        public static partial void NotReplaced(ILogger logger, string fault);

        [LoggerMessage(5, LogLevel.Warning, "the certificate {Path} ends {End:yyyy-MM-dd}; renew it")]
        public static partial void EndsSoon(ILogger logger, string path, DateTime end);
    }
}

/// <summary>Looks after the certificates once an hour.</summary>
public sealed class CertificateRenewal(ServerCertificates certificates, TimeProvider time, ILogger<CertificateRenewal> logger) : BackgroundService
{
    private static readonly TimeSpan interval = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken)) certificates.Refresh(logger);
    }
}
