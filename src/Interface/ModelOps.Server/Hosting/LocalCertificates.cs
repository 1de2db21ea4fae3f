using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ModelOps.Server.Hosting;

/// <summary>
/// A private CA (10 years) and a leaf for this machine (397 days, the most that clients accept), made at first start.
/// Clients trust <c>certs/ca.crt</c>; private keys have mode 0600.
/// </summary>
public static class LocalCertificates
{
    public const int RenewDaysBefore = 30;
    private const int LeafDays = 397;
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    /// <summary>The leaf with its private key, made anew when it ends within 30 days or lacks the address.</summary>
    /// <param name="address">Address that the server listens on, beside those of loopback.</param>
    /// <exception cref="ServerStartException">A file is damaged or cannot be read or written.</exception>
    public static X509Certificate2 Ensure(string folder, IPAddress address, TimeProvider time)
    {
        try
        {
            var (authorityPath, leafPath) = (Path.Combine(folder, "ca.pem"), Path.Combine(folder, "server.pem"));
            var renewAt = time.GetUtcNow().AddDays(RenewDaysBefore);
            using var authority = ReadIfLasting(authorityPath, renewAt) ?? MakeAuthority(time);
            var authorityFile = Path.Combine(folder, "ca.crt");
            if (!File.Exists(authorityFile) || File.ReadAllText(authorityFile) != PublicPem(authority))
            {
                WriteSecret(authorityPath, Pem(authority));
                File.WriteAllText(authorityFile, PublicPem(authority));
            }
            using var existing = ReadIfLasting(leafPath, renewAt);
            if (existing is not null && Covers(existing, address) && existing.IssuerName.RawData.AsSpan().SequenceEqual(authority.SubjectName.RawData))
                return Copy(existing);
            using var leaf = MakeLeaf(authority, address, time);
            WriteSecret(leafPath, Pem(leaf));
            return Copy(leaf);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new ServerStartException($"the local certificates in {folder} cannot be used: {e.Message}; remove the damaged files and they are made anew", e);
        }
    }

    /// <summary>With its private key; lives on when the original is disposed.</summary>
    internal static X509Certificate2 Copy(X509Certificate2 certificate) => new(certificate);

    private static X509Certificate2? ReadIfLasting(string path, DateTimeOffset until)
    {
        if (!File.Exists(path)) return null;
        var certificate = X509Certificate2.CreateFromPemFile(path);
        if (certificate.NotAfter.ToUniversalTime() > until) return certificate;
        certificate.Dispose();
        return null;
    }

    // Every address of the machine is reached by its own name or number: only one that was chosen is added.
    private static bool Covers(X509Certificate2 leaf, IPAddress address) => IsAny(address)
        || leaf.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(names => names.EnumerateIPAddresses()).Contains(address);

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private static X509Certificate2 MakeAuthority(TimeProvider time)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        // A number in the name: two authorities of one machine are told apart by clients that trust both.
        var request = new CertificateRequest($"CN=ModelOps local CA {RandomNumberGenerator.GetHexString(8, lowercase: true)}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var now = time.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddYears(10));
    }

    private static X509Certificate2 MakeLeaf(X509Certificate2 authority, IPAddress address, TimeProvider time)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddDnsName(Environment.MachineName);
        foreach (var one in new HashSet<IPAddress> { IPAddress.Loopback, IPAddress.IPv6Loopback, address })
            if (!IsAny(one)) names.AddIpAddress(one);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerAuthentication)], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        var now = time.GetUtcNow();
        var (start, end) = (now.AddDays(-1), now.AddDays(LeafDays));
        var (authorityStart, authorityEnd) = ((DateTimeOffset)authority.NotBefore, (DateTimeOffset)authority.NotAfter);
        using var certificate = request.Create(
            authority, start < authorityStart ? authorityStart : start, end > authorityEnd ? authorityEnd : end, RandomNumberGenerator.GetBytes(16));
        return certificate.CopyWithPrivateKey(key);
    }

    private static string PublicPem(X509Certificate2 certificate) => certificate.ExportCertificatePem() + "\n";

    private static string Pem(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey()!;
        return PublicPem(certificate) + key.ExportPkcs8PrivateKeyPem() + "\n";
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
