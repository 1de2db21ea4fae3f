using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace ModelOps.Tests.Security;

/// <summary>An OpenID Connect issuer on loopback: discovery document, key set, tokens of its two keys (ES256, RS256).</summary>
internal sealed class OidcIssuer : IAsyncDisposable
{
    public const string Audience = "modelops-test";
    private readonly WebApplication host;
    private readonly JsonWebTokenHandler handler = new() { SetDefaultTimesOnTokenCreation = false };

    private OidcIssuer(WebApplication host) => this.host = host;

    public string Address { get; private set; } = "";

    public ECDsaSecurityKey EcKey { get; } = new(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "ec" };

    public RsaSecurityKey RsaKey { get; } = new(RSA.Create(2048)) { KeyId = "rsa" };

    public static async Task<OidcIssuer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var issuer = new OidcIssuer(builder.Build());
        issuer.host.MapGet("/.well-known/openid-configuration", () => Results.Text(
            $$"""{"issuer":"{{issuer.Address}}","jwks_uri":"{{issuer.Address}}/keys"}""", "application/json"));
        issuer.host.MapGet("/keys", () => Results.Text(issuer.Keys(), "application/json"));
        await issuer.host.StartAsync();
        issuer.Address = issuer.host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return issuer;
    }

    public string Token(
        SigningCredentials? signed = null, string? issuer = null, string audience = Audience, DateTime? expires = null,
        string name = "grace", string[]? groups = null) => handler.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = issuer ?? Address,
            Audience = audience,
            IssuedAt = DateTime.UtcNow.AddHours(-1),
            NotBefore = DateTime.UtcNow.AddHours(-1),
            Expires = expires ?? DateTime.UtcNow.AddHours(1),
            Claims = new Dictionary<string, object>(StringComparer.Ordinal) { ["preferred_username"] = name, ["groups"] = groups ?? ["ml"] },
            SigningCredentials = signed ?? new SigningCredentials(EcKey, SecurityAlgorithms.EcdsaSha256),
        });

    public async ValueTask DisposeAsync()
    {
        await host.StopAsync();
        await host.DisposeAsync();
        EcKey.ECDsa.Dispose();
        RsaKey.Rsa.Dispose();
    }

    private string Keys()
    {
        var point = EcKey.ECDsa.ExportParameters(includePrivateParameters: false).Q;
        var rsa = RsaKey.Rsa.ExportParameters(includePrivateParameters: false);
        return $$"""
            {"keys":[
              {"kty":"EC","crv":"P-256","kid":"ec","x":"{{Base64UrlEncoder.Encode(point.X)}}","y":"{{Base64UrlEncoder.Encode(point.Y)}}"},
              {"kty":"RSA","kid":"rsa","n":"{{Base64UrlEncoder.Encode(rsa.Modulus)}}","e":"{{Base64UrlEncoder.Encode(rsa.Exponent)}}"}]}
            """;
    }
}
