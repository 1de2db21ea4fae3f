using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Security;

/// <summary>Signing in and what ends it, against the real server.</summary>
public sealed class SessionTests(SecurityFixture fixture) : IClassFixture<SecurityFixture>
{
    private const string whoami = "/api/v1/auth/whoami";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Login_RightPassword_GivesATokenThatThePublicKeysVerify()
    {
        using var anonymous = fixture.Client(null);
        var session = await anonymous.Auth.SignInAsync("engineer", SecurityFixture.Password, Cancel);
        Assert.Equal(900, session.ExpiresIn);
        using var signedIn = fixture.Client(session.AccessToken);
        var who = await signedIn.Auth.WhoAmIAsync(Cancel);
        Assert.Equal(("engineer", "engineer", "session"), (who.Name, who.Role, who.Via));

        using var http = fixture.Connect(null);
        var keys = new JsonWebKeySet(await http.GetStringAsync(new Uri("/.well-known/jwks.json", UriKind.Relative), Cancel));
        var result = await new JsonWebTokenHandler().ValidateTokenAsync(session.AccessToken, new TokenValidationParameters
        {
            IssuerSigningKeys = keys.Keys,
            ValidIssuer = "modelops",
            ValidAudience = "modelops",
            ValidAlgorithms = ["ES256"],
        });
        Assert.True(result.IsValid, result.Exception?.Message);
        Assert.Equal(keys.Keys.Single().Kid, ((JsonWebToken)result.SecurityToken).Kid);
        Assert.DoesNotContain("\"d\"", await http.GetStringAsync(new Uri("/.well-known/jwks.json", UriKind.Relative), Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logout_TakesEffectAtOnce()
    {
        using var anonymous = fixture.Client(null);
        var session = await anonymous.Auth.SignInAsync("viewer", SecurityFixture.Password, Cancel);
        var other = await anonymous.Auth.SignInAsync("viewer", SecurityFixture.Password, Cancel);
        Assert.Equal(HttpStatusCode.OK, await fixture.StatusAsync(session.AccessToken, whoami, Cancel));
        using (var signedIn = fixture.Client(session.AccessToken)) await signedIn.Auth.SignOutAsync(Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, await fixture.StatusAsync(session.AccessToken, whoami, Cancel));
        Assert.Equal(HttpStatusCode.OK, await fixture.StatusAsync(other.AccessToken, whoami, Cancel));
        await UnauthorizedAsync(() => anonymous.Auth.RefreshAsync(session.RefreshToken, Cancel));
    }

    [Fact]
    public async Task Refresh_SpentToken_EndsTheSessionAndIsAudited()
    {
        var name = await fixture.NewUserAsync("viewer");
        using var anonymous = fixture.Client(null);
        var first = await anonymous.Auth.SignInAsync(name, SecurityFixture.Password, Cancel);
        var second = await anonymous.Auth.RefreshAsync(first.RefreshToken, Cancel);
        Assert.Equal(HttpStatusCode.OK, await fixture.StatusAsync(second.AccessToken, whoami, Cancel));
        await UnauthorizedAsync(() => anonymous.Auth.RefreshAsync(first.RefreshToken, Cancel));
        Assert.Equal(HttpStatusCode.Unauthorized, await fixture.StatusAsync(second.AccessToken, whoami, Cancel));
        await UnauthorizedAsync(() => anonymous.Auth.RefreshAsync(second.RefreshToken, Cancel));
        Assert.Single(await AuditOfAsync(name), row => row.Action == "session.token_reused");
    }

    [Fact]
    public async Task Disable_EndsSessionsAndKeysAtOnceAndForbidsSigningIn()
    {
        var name = await fixture.NewUserAsync("engineer");
        var key = await fixture.Server.Client.Keys.CreateAsync(new CreateApiKey { Name = "k", User = name }, Cancel);
        using var anonymous = fixture.Client(null);
        var session = await anonymous.Auth.SignInAsync(name, SecurityFixture.Password, Cancel);
        Assert.Equal(HttpStatusCode.OK, await fixture.StatusAsync(session.AccessToken, whoami, Cancel)); // the token is remembered now

        await fixture.Server.Client.Users.UpdateAsync(name, new UpdateUser { Disabled = true }, Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, await fixture.StatusAsync(session.AccessToken, whoami, Cancel));
        Assert.Equal(HttpStatusCode.Unauthorized, await fixture.StatusAsync(key.Secret, whoami, Cancel));
        await UnauthorizedAsync(() => anonymous.Auth.SignInAsync(name, SecurityFixture.Password, Cancel));
    }

    [Fact]
    public async Task Login_WrongPasswords_AreSlowedAndAudited()
    {
        var name = await fixture.NewUserAsync("viewer");
        using var anonymous = fixture.Client(null);
        for (var i = 0; i < 3; i++)
            await UnauthorizedAsync(() => anonymous.Auth.SignInAsync(name, $"wrong password {i}", Cancel));
        using var http = fixture.Connect(null);
        using var response = await http.PostAsJsonAsync(
            new Uri("/api/v1/auth/login", UriKind.Relative), new SignIn { User = name, Password = SecurityFixture.Password }, WireJson.Default.SignIn, Cancel);
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        var rows = await fixture.Server.Client.Audit.ListAsync(new AuditFilter { Subject = name, Action = "user.sign_in_failed" }, Cancel).ToListAsync(Cancel);
        Assert.Equal(3, rows.Count);
    }

    [Fact]
    public async Task Login_UnknownUser_SaysTheSameAsAWrongPassword()
    {
        var name = await fixture.NewUserAsync("viewer");
        using var anonymous = fixture.Client(null);
        var unknown = await UnauthorizedAsync(() => anonymous.Auth.SignInAsync("nobody-of-this-name", "some long password", Cancel));
        var wrong = await UnauthorizedAsync(() => anonymous.Auth.SignInAsync(name, "some long password", Cancel));
        Assert.Equal(unknown.Detail, wrong.Detail);
    }

    [Fact]
    public async Task ChangePassword_EndsSessionsAndTheOldPassword()
    {
        var name = await fixture.NewUserAsync("viewer");
        using var anonymous = fixture.Client(null);
        var session = await anonymous.Auth.SignInAsync(name, SecurityFixture.Password, Cancel);
        using var signedIn = fixture.Client(session.AccessToken);
        var weak = await Assert.ThrowsAsync<ModelOpsException>(() => signedIn.Auth.ChangePasswordAsync(SecurityFixture.Password, "aaa", Cancel));
        Assert.Equal(2, weak.Problem.Errors.Count);
        await signedIn.Auth.ChangePasswordAsync(SecurityFixture.Password, "a longer staple of words", Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, await fixture.StatusAsync(session.AccessToken, whoami, Cancel));
        await UnauthorizedAsync(() => anonymous.Auth.SignInAsync(name, SecurityFixture.Password, Cancel));
        await anonymous.Auth.SignInAsync(name, "a longer staple of words", Cancel);
    }

    [Theory]
    [InlineData("expired")]
    [InlineData("none")]
    [InlineData("hmac")]
    [InlineData("foreign key")]
    [InlineData("issuer")]
    [InlineData("audience")]
    [InlineData("type")]
    [InlineData("garbage")]
    public async Task AccessToken_Forged_IsRefused(string how)
    {
        Assert.Equal(HttpStatusCode.OK, await fixture.StatusAsync(Forge("nothing"), whoami, Cancel)); // the forger forges well
        Assert.Equal(HttpStatusCode.Unauthorized, await fixture.StatusAsync(Forge(how), whoami, Cancel));
    }

    [Fact]
    public async Task Restart_KeepsSessionsEndedOnesToo_AndTheInitialPasswordUntilItIsChanged()
    {
        var home = TestServer.NewHome();
        try
        {
            SessionTokens kept, ended;
            await using (var server = await TestServer.StartAsync(home, Cancel))
            {
                var password = (await CredentialsAsync(home)).GetProperty("initial_password").GetString()!;
                using var anonymous = new ModelOpsClient(server.Client.Server, apiKey: null, server.CaCertificate);
                kept = await anonymous.Auth.SignInAsync("admin", password, Cancel);
                ended = await anonymous.Auth.SignInAsync("admin", password, Cancel);
                using var other = new ModelOpsClient(server.Client.Server, ended.AccessToken, server.CaCertificate);
                await other.Auth.SignOutAsync(Cancel);
            }
            await using (var server = await TestServer.StartAsync(home, Cancel))
            {
                using var first = new ModelOpsClient(server.Client.Server, kept.AccessToken, server.CaCertificate);
                using var second = new ModelOpsClient(server.Client.Server, ended.AccessToken, server.CaCertificate);
                Assert.Equal("admin", (await first.Auth.WhoAmIAsync(Cancel)).Name);
                await UnauthorizedAsync(() => second.Auth.WhoAmIAsync(Cancel));
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(home, "credentials.json")));
                Assert.True((await CredentialsAsync(home)).TryGetProperty("initial_password", out _));
                await server.Client.Users.SetPasswordAsync("admin", "a longer staple of words", Cancel);
                Assert.False((await CredentialsAsync(home)).TryGetProperty("initial_password", out _));
                Assert.Equal("admin", (await server.Client.Auth.WhoAmIAsync(Cancel)).Name); // the local key still works
            }
        }
        finally
        {
            Directory.Delete(home, recursive: true);
        }
    }

    private static async Task<JsonElement> CredentialsAsync(string home) =>
        JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(home, "credentials.json"), Cancel));

    private static async Task<Problem> UnauthorizedAsync<T>(Func<Task<T>> call)
    {
        var refused = await Assert.ThrowsAsync<ModelOpsException>(call);
        Assert.Equal(ProblemTypes.Unauthorized, refused.Problem.Type);
        return refused.Problem;
    }

    private async Task<List<AuditEntry>> AuditOfAsync(string name) =>
        await fixture.Server.Client.Audit.ListAsync(new AuditFilter { Actor = name }, Cancel).ToListAsync(Cancel);

    /// <summary>A token as the server would make it with its own key, but for one thing.</summary>
    private string Forge(string how)
    {
        var file = Assert.Single(Directory.GetFiles(Path.Combine(fixture.Server.Home, "keys", "tokens")));
        var kid = Path.GetFileNameWithoutExtension(file).Split('-', 2)[1];
        using var own = ECDsa.Create();
        own.ImportFromPem(File.ReadAllText(file));
        using var foreign = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        if (how == "garbage") return "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";
        var factory = new CryptoProviderFactory { CacheSignatureProviders = false };
        SigningCredentials? signing = how switch
        {
            "none" => null,
            "hmac" => new(new SymmetricSecurityKey(own.ExportSubjectPublicKeyInfo()) { KeyId = kid }, "HS256"),
            "foreign key" => new(new ECDsaSecurityKey(foreign) { KeyId = kid }, "ES256"),
            _ => new(new ECDsaSecurityKey(own) { KeyId = kid }, "ES256"),
        };
        if (signing is not null) signing.CryptoProviderFactory = factory;
        var now = DateTime.UtcNow;
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            TokenType = how == "type" ? "JWT" : "at+jwt",
            Issuer = how == "issuer" ? "elsewhere" : "modelops",
            Audience = how == "audience" ? "elsewhere" : "modelops",
            IssuedAt = now.AddMinutes(-30),
            NotBefore = now.AddMinutes(-30),
            Expires = how == "expired" ? now.AddSeconds(-1) : now.AddMinutes(10),
            Claims = new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["sub"] = "user_x",
                ["name"] = "mallory",
                ["role"] = "admin",
                ["sid"] = "session_x",
                ["jti"] = Guid.NewGuid().ToString(),
            },
            SigningCredentials = signing,
        });
    }
}
