using System.Collections.Concurrent;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>
/// Access tokens: JWT, ES256, 15 minutes. A validated one is remembered, for the signature costs more than the request; whether its
/// session has ended is looked up each time.
/// </summary>
public sealed class AccessTokens(TokenKeys keys, Sessions sessions, ExternalIssuer issuer, TimeProvider time)
{
    private const string self = "modelops";
    private const string type = "at+jwt";
    private const int mostRemembered = 10_000;
    private readonly ConcurrentDictionary<string, ValidToken> remembered = new(StringComparer.Ordinal);
    private readonly JsonWebTokenHandler handler = new() { MapInboundClaims = false, SetDefaultTimesOnTokenCreation = false };

    public static TimeSpan Lifetime { get; } = TimeSpan.FromMinutes(15);

    public string Issue(SessionToken session)
    {
        var (key, now) = (keys.Current(), time.GetUtcNow());
        return handler.CreateToken(new SecurityTokenDescriptor
        {
            TokenType = type,
            Issuer = self,
            Audience = self,
            IssuedAt = now.UtcDateTime,
            NotBefore = now.UtcDateTime,
            Expires = (now + Lifetime).UtcDateTime,
            Claims = new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["sub"] = session.User.Id,
                ["name"] = session.User.Name,
                ["role"] = session.User.Role,
                ["sid"] = session.SessionId,
                ["jti"] = Guid.CreateVersion7(now).ToString("N"),
            },
            SigningCredentials = new SigningCredentials(new ECDsaSecurityKey(key.Key) { KeyId = key.Id }, SecurityAlgorithms.EcdsaSha256),
        });
    }

    /// <returns>Null: not a token of ours or of the external issuer, expired, or of a session that has ended.</returns>
    public async ValueTask<ApiPrincipal?> ValidateAsync(string token, CancellationToken cancellationToken)
    {
        if (!remembered.TryGetValue(token, out var valid))
        {
            if (!handler.CanReadToken(token)) return null;
            valid = issuer.Issued(handler.ReadJsonWebToken(token).Issuer)
                ? await issuer.ValidateAsync(handler, token, cancellationToken)
                : await ValidateOwnAsync(token);
            if (valid is null) return null;
            if (remembered.Count >= mostRemembered) remembered.Clear();
            remembered[token] = valid;
        }
        if (valid.Expires <= time.GetUtcNow() || (valid.Principal.SessionId is { } session && sessions.HasEnded(session)))
        {
            remembered.TryRemove(token, out _);
            return null;
        }
        return valid.Principal;
    }

    /// <summary>RFC 7517: the public halves of the keys that are believed.</summary>
    public JsonWebKeySetDocument PublicKeys() => new([.. keys.All.Select(ToJwk)]);

    private async Task<ValidToken?> ValidateOwnAsync(string token)
    {
        var result = await handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = self,
            ValidAudience = self,
            ValidTypes = [type],
            ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256],
            IssuerSigningKeys = keys.All.Select(key => new ECDsaSecurityKey(key.Key) { KeyId = key.Id }),
            TryAllIssuerSigningKeys = false,
            LifetimeValidator = (notBefore, expires, _, _) => expires > time.GetUtcNow().UtcDateTime && notBefore <= time.GetUtcNow().UtcDateTime,
        });
        if (!result.IsValid) return null;
        var principal = new ApiPrincipal(Claim("sub"), Claim("name"), Claim("role")) { SessionId = Claim("sid") };
        return new ValidToken(principal, new DateTimeOffset(result.SecurityToken.ValidTo, TimeSpan.Zero));

        string Claim(string name) => (string)result.Claims[name];
    }

    private static JsonWebKeyDocument ToJwk(TokenKey key)
    {
        var point = key.Key.ExportParameters(includePrivateParameters: false).Q;
        return new("EC", "P-256", Base64UrlEncoder.Encode(point.X), Base64UrlEncoder.Encode(point.Y), key.Id, "sig", SecurityAlgorithms.EcdsaSha256);
    }
}

public sealed record ValidToken(ApiPrincipal Principal, DateTimeOffset Expires);

public sealed record JsonWebKeySetDocument(IReadOnlyList<JsonWebKeyDocument> Keys);

public sealed record JsonWebKeyDocument(string Kty, string Crv, string X, string Y, string Kid, string Use, string Alg);
