using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Server.Hosting;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Gateway;

/// <summary>The server's certificates: made, renewed, replaced, refused.</summary>
[EmbeddedOnly("certificates lie in the home")]
public sealed class CertificateTests : IDisposable
{
    private static readonly DateTimeOffset start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-certs-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Ensure_FirstStart_WritesKeysForTheOwnerAlone()
    {
        using var leaf = LocalCertificates.Ensure(folder, IPAddress.Loopback, new ManualTime(start));
        Assert.True(leaf.HasPrivateKey);
        foreach (var name in new[] { "ca.pem", "server.pem" })
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder, name)));
        Assert.DoesNotContain("PRIVATE", File.ReadAllText(Path.Combine(folder, "ca.crt")), StringComparison.Ordinal);
        using var again = LocalCertificates.Ensure(folder, IPAddress.Loopback, new ManualTime(start));
        Assert.Equal(leaf.Thumbprint, again.Thumbprint);
    }

    [Fact]
    public void Ensure_OtherListenAddress_IssuesALeafThatNamesIt()
    {
        LocalCertificates.Ensure(folder, IPAddress.Loopback, new ManualTime(start)).Dispose();
        using var leaf = LocalCertificates.Ensure(folder, IPAddress.Parse("10.1.2.3"), new ManualTime(start));
        Assert.True(leaf.MatchesHostname("10.1.2.3"));
        Assert.True(leaf.MatchesHostname("localhost"));
    }

    [Fact]
    public void Ensure_WhenTheAuthorityEnds_MakesBothAnew()
    {
        LocalCertificates.Ensure(folder, IPAddress.Loopback, new ManualTime(start)).Dispose();
        var before = File.ReadAllText(Path.Combine(folder, "ca.crt"));
        // A leaf never outlives its authority: at nine and a half years it is cut short, later the authority is made anew.
        using var late = LocalCertificates.Ensure(folder, IPAddress.Loopback, new ManualTime(start.AddYears(9).AddMonths(6)));
        Assert.Equal(before, File.ReadAllText(Path.Combine(folder, "ca.crt")));
        using var renewed = LocalCertificates.Ensure(folder, IPAddress.Loopback, new ManualTime(start.AddYears(10).AddDays(-10)));
        using var authority = X509Certificate2.CreateFromPem(File.ReadAllText(Path.Combine(folder, "ca.crt")));
        Assert.NotEqual(before, File.ReadAllText(Path.Combine(folder, "ca.crt")));
        Assert.Equal(authority.Subject, renewed.Issuer);
        Assert.True(renewed.NotAfter > late.NotAfter);
    }

    [Fact]
    public void Ensure_DamagedKeyFile_SaysWhatToDo()
    {
        File.WriteAllText(Path.Combine(folder, "ca.pem"), "nonsense");
        var error = Assert.Throws<ServerStartException>(() => LocalCertificates.Ensure(folder, IPAddress.Loopback, TimeProvider.System));
        Assert.Contains("remove the damaged files", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Renewal_WhileRunning_ReplacesTheLeafBeforeItsEnd()
    {
        var time = new ManualTime(start);
        using var certificates = ServerCertificates.Load(folder, IPAddress.Loopback, new TlsOptions(), time, [])!;
        using var renewal = new CertificateRenewal(certificates, time, NullLogger<CertificateRenewal>.Instance);
        await renewal.StartAsync(TestContext.Current.CancellationToken);
        await time.TimerSet.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        var first = certificates.Select(name: "", sameMachine: true).TargetCertificate.Thumbprint;

        time.Advance(TimeSpan.FromDays(300)); // the tick of day 300 finds it fresh enough
        await Eventually.HoldsAsync(() => certificates.Select("", sameMachine: true).TargetCertificate.Thumbprint == first, Cancel);
        time.Advance(TimeSpan.FromDays(70)); // 27 days before its end
        await Eventually.HoldsAsync(() => certificates.Select("", sameMachine: true).TargetCertificate.Thumbprint != first, Cancel);
        Assert.True(certificates.Select("", sameMachine: true).TargetCertificate.NotAfter > time.GetUtcNow().AddDays(300));
        await renewal.StopAsync(Cancel);
    }

    [Fact]
    public void Refresh_OwnFileReplaced_TakesItUpAndKeepsTheFormerOneWhenItIsBad()
    {
        var time = new ManualTime(start);
        var options = WritePem("own", start, start.AddDays(90));
        using var certificates = ServerCertificates.Load(folder, IPAddress.Loopback, options, time, [])!;
        var first = certificates.Select("models.example", sameMachine: false).TargetCertificate.Thumbprint;
        File.WriteAllText(options.Certificate!, "nonsense");
        File.SetLastWriteTimeUtc(options.Certificate!, start.UtcDateTime.AddDays(1));
        certificates.Refresh(NullLogger.Instance);
        Assert.Equal(first, certificates.Select("models.example", sameMachine: false).TargetCertificate.Thumbprint);
        WritePem("own", start, start.AddDays(180));
        File.SetLastWriteTimeUtc(options.Certificate!, start.UtcDateTime.AddDays(2));
        certificates.Refresh(NullLogger.Instance);
        Assert.NotEqual(first, certificates.Select("models.example", sameMachine: false).TargetCertificate.Thumbprint);
    }

    [Fact]
    public void Select_WithAnOwnCertificate_GivesItToAllButLocalCallersThatItDoesNotName()
    {
        using var certificates = ServerCertificates.Load(folder, IPAddress.Loopback, WritePem("own", start, start.AddDays(90)), new ManualTime(start), [])!;
        Assert.Equal("CN=own", certificates.Select("models.example", sameMachine: false).TargetCertificate.Subject);
        Assert.Equal("CN=own", certificates.Select("", sameMachine: false).TargetCertificate.Subject);
        Assert.Equal("CN=own", certificates.Select("models.example", sameMachine: true).TargetCertificate.Subject);
        Assert.Equal("CN=localhost", certificates.Select("", sameMachine: true).TargetCertificate.Subject);
        Assert.Equal("CN=localhost", certificates.Select("localhost", sameMachine: true).TargetCertificate.Subject);
    }

    [Fact]
    public void Load_OwnCertificateWithFaults_NamesThem()
    {
        var time = new ManualTime(start);
        AssertFault(WritePem("a", start.AddDays(-90), start.AddDays(-1)), time, "tls:certificate", "ended on 2029-12-31");
        AssertFault(WritePem("b", start.AddDays(1), start.AddDays(9)), time, "is not valid before 2030-01-02");
        AssertFault(WritePem("c", start, start.AddDays(9)) with { Key = WritePem("d", start, start.AddDays(9)).Key }, time, "cannot be used");
        AssertFault(new TlsOptions { Certificate = Path.Combine(folder, "none.pem"), Key = Path.Combine(folder, "none.key") }, time, "tls:certificate", "cannot be read");
        AssertFault(new TlsOptions { Certificate = Path.Combine(folder, "a.pem"), Key = Path.Combine(folder, "none.key") }, time, "tls:key", "cannot be read");
        File.WriteAllText(Path.Combine(folder, "text.pem"), "hello");
        AssertFault(new TlsOptions { Certificate = Path.Combine(folder, "text.pem"), Key = Path.Combine(folder, "text.pem") }, time, "cannot be used");
        AssertFault(WritePkcs12("right") with { Password = "wrong" }, time, "is tls:password right?");
    }

    [Fact]
    public void Load_Pkcs12WithPassword_IsUsed()
    {
        var errors = new List<string>();
        using var own = OwnCertificate.Load(WritePkcs12("right"), new ManualTime(start), errors);
        Assert.Empty(errors);
        Assert.Equal("CN=p12", own!.Certificate.Subject);
    }

    [Fact(Timeout = 120_000)]
    public async Task Serve_WithAnOwnCertificate_AnswersWithItUnderItsNameAndTheLocalClientStillWorks()
    {
        var now = TimeProvider.System.GetUtcNow();
        var options = WritePem("own", now.AddDays(-1), now.AddDays(9));
        var home = TestServer.NewHome();
        await using (var server = await TestServer.StartAsync(home, TestContext.Current.CancellationToken, $"tls:certificate={options.Certificate}", $"tls:key={options.Key}"))
        {
            Assert.Empty((await server.Client.GetReadinessAsync(Cancel)).NotReady);
            Assert.Equal("CN=own", await SubjectAsync(server.Client.Server.Port, "models.example"));
            Assert.Equal("CN=localhost", await SubjectAsync(server.Client.Server.Port, "localhost"));
        }
        Directory.Delete(home, recursive: true);
    }

    private static async Task<string> SubjectAsync(int port, string name)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, port, Cancel);
        await using var tls = new SslStream(tcp.GetStream());
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = name, RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null }, Cancel);
        return tls.RemoteCertificate!.Subject;
    }

    private static void AssertFault(TlsOptions options, TimeProvider time, params string[] parts)
    {
        var errors = new List<string>();
        Assert.Null(OwnCertificate.Load(options, time, errors));
        Assert.Contains(errors, error => parts.All(part => error.Contains(part, StringComparison.Ordinal)));
    }

    private TlsOptions WritePem(string name, DateTimeOffset from, DateTimeOffset to)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Request(name, key).CreateSelfSigned(from, to);
        var options = new TlsOptions { Certificate = Path.Combine(folder, name + ".pem"), Key = Path.Combine(folder, name + ".key") };
        File.WriteAllText(options.Certificate!, certificate.ExportCertificatePem());
        File.WriteAllText(options.Key!, key.ExportPkcs8PrivateKeyPem());
        return options;
    }

    private TlsOptions WritePkcs12(string password)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Request("p12", key).CreateSelfSigned(start, start.AddDays(9));
        var path = Path.Combine(folder, "own.p12");
        File.WriteAllBytes(path, certificate.Export(X509ContentType.Pkcs12, password));
        return new() { Certificate = path, Password = password };
    }

    private static CertificateRequest Request(string name, ECDsa key)
    {
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("models.example");
        request.CertificateExtensions.Add(names.Build());
        return request;
    }
}
