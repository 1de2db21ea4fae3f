using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ModelOps.Server.Hosting;

/// <summary>The certificate that <see cref="TlsOptions"/> name, checked.</summary>
public sealed class OwnCertificate : IDisposable
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    private OwnCertificate(X509Certificate2 certificate, X509Certificate2Collection chain)
    {
        Certificate = certificate;
        Context = SslStreamCertificateContext.Create(certificate, chain, offline: true);
    }

    public X509Certificate2 Certificate { get; }

    /// <summary>The certificate with the intermediates that its file has.</summary>
    public SslStreamCertificateContext Context { get; }

    /// <param name="errors">Every fault found, with the key that names the file.</param>
    /// <returns>Null when there are faults.</returns>
    public static OwnCertificate? Load(TlsOptions options, TimeProvider time, List<string> errors)
    {
        var faults = errors.Count;
        foreach (var (key, path) in new[] { ("tls:certificate", options.Certificate), ("tls:key", options.Key) })
            if (path is not null && WhyUnreadable(path) is { } why) errors.Add($"{key}: {path} cannot be read: {why}");
        if (errors.Count > faults) return null;
        try
        {
            var chain = new X509Certificate2Collection();
            var certificate = options.IsPkcs12 ? ReadPkcs12(options, chain) : ReadPem(options, chain);
            errors.AddRange(Faults(certificate, time).Select(fault => $"tls:certificate: {options.Certificate} {fault}"));
            if (errors.Count == faults) return new OwnCertificate(certificate, chain);
            certificate.Dispose();
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            errors.Add($"tls:certificate: {options.Certificate}{(options.Key is null ? "" : $" with the key {options.Key}")} cannot be used: {e.Message}"
                + (options.Password is null ? "; an encrypted key needs tls:password" : "; is tls:password right?"));
        }
        return null;
    }

    public void Dispose() => Certificate.Dispose();

    private static X509Certificate2 ReadPem(TlsOptions options, X509Certificate2Collection chain)
    {
        chain.ImportFromPemFile(options.Certificate!);
        using var certificate = options.Password is { } password
            ? X509Certificate2.CreateFromEncryptedPemFile(options.Certificate!, password, options.Key)
            : X509Certificate2.CreateFromPemFile(options.Certificate!, options.Key);
        return LocalCertificates.Copy(certificate);
    }

    private static X509Certificate2 ReadPkcs12(TlsOptions options, X509Certificate2Collection chain)
    {
        chain.AddRange(X509CertificateLoader.LoadPkcs12CollectionFromFile(options.Certificate!, options.Password));
        return chain.FirstOrDefault(certificate => certificate.HasPrivateKey) ?? throw new CryptographicException("it holds no private key");
    }

    private static IEnumerable<string> Faults(X509Certificate2 certificate, TimeProvider time)
    {
        var now = time.GetUtcNow().UtcDateTime;
        if (certificate.NotAfter.ToUniversalTime() <= now) yield return $"ended on {certificate.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm}Z; renew it";
        if (certificate.NotBefore.ToUniversalTime() > now)
            yield return $"is not valid before {certificate.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm}Z; check the machine's clock";
        if (certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>().FirstOrDefault() is { } usage
            && !usage.EnhancedKeyUsages.Cast<Oid>().Any(oid => oid.Value == ServerAuthentication))
            yield return "is not meant for servers (extended key usage); ask its issuer for a server certificate";
    }

    private static string? WhyUnreadable(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }
}
