using System.Net;
using System.Security.Cryptography;
using Microsoft.IdentityModel.Tokens;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Security;

/// <summary>Access tokens of an external issuer, which runs here.</summary>
[EmbeddedOnly("tokens of others are in no store")]
public sealed class OidcTests(SecurityFixture fixture) : IClassFixture<SecurityFixture>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("ec", "ES256")]
    [InlineData("rsa", "RS256")]
    [InlineData("rsa", "PS256")]
    public async Task Token_OfTheIssuer_SignsInWithTheMappedRole(string key, string algorithm)
    {
        SecurityKey signing = key == "ec" ? fixture.Issuer.EcKey : fixture.Issuer.RsaKey;
        using var client = fixture.Client(fixture.Issuer.Token(new SigningCredentials(signing, algorithm), groups: ["guests", "ml"]));
        var who = await client.Auth.WhoAmIAsync(Cancel);
        Assert.Equal(("oidc:grace", "engineer", "issuer"), (who.Name, who.Role, who.Via));
        Assert.Empty(await client.Deployments.ListAsync(Cancel));
    }

    [Fact]
    public async Task Token_OfAUserWithoutAMappedRole_IsForbiddenEverything()
    {
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(fixture.Issuer.Token(groups: ["admin", "others"])));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(fixture.Issuer.Token(groups: ["guests"])));
    }

    [Fact]
    public async Task Token_WithAnythingWrong_IsRefused()
    {
        Assert.Equal(HttpStatusCode.OK, await AskAsync(fixture.Issuer.Token()));
        using var foreign = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Dictionary<string, string> wrong = new(StringComparer.Ordinal)
        {
            ["issuer"] = fixture.Issuer.Token(issuer: "https://issuer.example.org"),
            ["audience"] = fixture.Issuer.Token(audience: "another"),
            ["expired"] = fixture.Issuer.Token(expires: DateTime.UtcNow.AddMinutes(-5)),
            ["unknown kid"] = fixture.Issuer.Token(new SigningCredentials(new ECDsaSecurityKey(foreign) { KeyId = "other" }, "ES256")),
            ["forged kid"] = fixture.Issuer.Token(new SigningCredentials(
                new ECDsaSecurityKey(foreign) { KeyId = "ec", CryptoProviderFactory = new CryptoProviderFactory { CacheSignatureProviders = false } }, "ES256")),
            ["hmac"] = fixture.Issuer.Token(new SigningCredentials(
                new SymmetricSecurityKey(fixture.Issuer.EcKey.ECDsa.ExportSubjectPublicKeyInfo()) { KeyId = "ec" }, "HS256")),
            ["none"] = $"{Base64UrlEncoder.Encode("""{"alg":"none","typ":"JWT"}""")}.{fixture.Issuer.Token().Split('.')[1]}.",
            ["no signature"] = $"{string.Join('.', fixture.Issuer.Token().Split('.')[..2])}.",
        };
        foreach (var (what, token) in wrong)
            Assert.Equal((what, HttpStatusCode.Unauthorized), (what, await AskAsync(token)));
    }

    [Fact]
    public async Task Token_NamedLikeALocalUser_IsNotThatUser()
    {
        using var client = fixture.Client(fixture.Issuer.Token(name: "admin"));
        Assert.Equal(("oidc:admin", "engineer"), ((await client.Auth.WhoAmIAsync(Cancel)).Name, (await client.Auth.WhoAmIAsync(Cancel)).Role));
        Assert.Empty(await client.Keys.ListAsync(Cancel));
    }

    private Task<HttpStatusCode> AskAsync(string token) => fixture.StatusAsync(token, "/api/v1/artifacts", Cancel);
}
