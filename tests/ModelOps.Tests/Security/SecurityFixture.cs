using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Security;

/// <summary>One server that believes one external issuer, with a user and a key of each role.</summary>
public sealed class SecurityFixture : IAsyncLifetime
{
    public const string Password = "correct horse battery";
    private readonly Dictionary<string, string> keys = new(StringComparer.Ordinal);
    private TestServer? server;
    private OidcIssuer? issuer;

    public static IReadOnlyList<string> Roles { get; } = ["viewer", "engineer", "approver", "service", "admin"];

    internal TestServer Server => server!;

    internal OidcIssuer Issuer => issuer!;

    public string KeyOf(string role) => keys[role];

    public async ValueTask InitializeAsync()
    {
        issuer = await OidcIssuer.StartAsync();
        server = await TestServer.StartAsync(TestServer.NewHome(), new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MODELOPS__SIGN_IN__ISSUER"] = issuer.Address,
            ["MODELOPS__SIGN_IN__AUDIENCE"] = OidcIssuer.Audience,
            ["MODELOPS__SIGN_IN__NAME_CLAIM"] = "preferred_username",
            ["MODELOPS__SIGN_IN__ROLE_CLAIM"] = "groups",
            ["MODELOPS__SIGN_IN__ROLES__ml"] = "engineer",
            ["MODELOPS__SIGN_IN__ROLES__guests"] = "viewer",
        }, CancellationToken.None);
        foreach (var role in Roles)
        {
            if (role != "admin") await server.Client.Users.CreateAsync(new CreateUser { Name = role, Role = role, Password = Password }); // the first start made that one
            keys[role] = (await server.Client.Keys.CreateAsync(new CreateApiKey { Name = "test", User = role })).Secret;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (issuer is not null) await issuer.DisposeAsync();
        if (server is null) return;
        await server.DisposeAsync();
        Directory.Delete(server.Home, recursive: true);
    }

    public HttpClient Connect(string? bearer)
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(Server.CaCertificate) },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        var http = new HttpClient(handler) { BaseAddress = Server.Client.Server, DefaultRequestVersion = HttpVersion.Version20 };
        if (bearer is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        return http;
    }

    internal ModelOpsClient Client(string? bearer) => new(Server.Client.Server, bearer, Server.CaCertificate);

    /// <summary>A user of its own for a test that changes it.</summary>
    public async Task<string> NewUserAsync(string role)
    {
        var name = $"u{Guid.NewGuid():N}"[..12];
        await Server.Client.Users.CreateAsync(new CreateUser { Name = name, Role = role, Password = Password });
        return name;
    }

    public async Task<HttpStatusCode> StatusAsync(string? bearer, string path, CancellationToken cancel)
    {
        using var http = Connect(bearer);
        using var response = await http.GetAsync(new Uri(path, UriKind.Relative), cancel);
        return response.StatusCode;
    }
}
