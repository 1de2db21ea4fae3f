using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ModelOps.Server.Hosting;

/// <summary>
/// A private CA (10 years) and a leaf for localhost (397 days, the most that clients accept), made at first start.
/// Clients trust <c>certs/ca.crt</c>; private keys have mode 0600.
/// </summary>
public static class LocalCertificates
{
    private const int LeafDays = 397;
    private const int RenewDaysBefore = 30;
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    /// <summary>The leaf with its private key, renewed when it ends within 30 days.</summary>
    public static X509Certificate2 Ensure(string folder, TimeProvider time)
    {
        var (authorityPath, leafPath) = (Path.Combine(folder, "ca.pem"), Path.Combine(folder, "server.pem"));
        using var authority = File.Exists(authorityPath) ? X509Certificate2.CreateFromPemFile(authorityPath) : MakeAuthority(time);
        if (!File.Exists(authorityPath))
        {
            WriteSecret(authorityPath, Pem(authority));
            File.WriteAllText(Path.Combine(folder, "ca.crt"), authority.ExportCertificatePem() + "\n");
        }
        if (File.Exists(leafPath))
        {
            using var existing = X509Certificate2.CreateFromPemFile(leafPath);
            if (existing.NotAfter.ToUniversalTime() > time.GetUtcNow().AddDays(RenewDaysBefore)) return Usable(existing);
        }
        using var leaf = MakeLeaf(authority, time);
        WriteSecret(leafPath, Pem(leaf));
        return Usable(leaf);
    }

    // TLS stacks want the key in a PKCS #12 container, not beside the certificate in memory.
    private static X509Certificate2 Usable(X509Certificate2 certificate) =>
        X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), password: null);

    private static X509Certificate2 MakeAuthority(TimeProvider time)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=ModelOps local CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var now = time.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddYears(10));
    }

    private static X509Certificate2 MakeLeaf(X509Certificate2 authority, TimeProvider time)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddDnsName(Environment.MachineName);
        names.AddIpAddress(IPAddress.Loopback);
        names.AddIpAddress(IPAddress.IPv6Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerAuthentication)], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        var now = time.GetUtcNow();
        using var certificate = request.Create(authority, now.AddDays(-1), now.AddDays(LeafDays), RandomNumberGenerator.GetBytes(16));
        return certificate.CopyWithPrivateKey(key);
    }

    private static string Pem(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        return certificate.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem() + "\n";
    }

    private static void WriteSecret(string path, string text)
    {
        var temporary = path + ".new";
        using (var file = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            file.Write(System.Text.Encoding.ASCII.GetBytes(text));
            file.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
    }
}
