using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>
/// Access tokens of the OpenID Connect issuer in <see cref="SignInOptions"/>. Its keys are fetched at the first token and kept; a token
/// of a key that is not among them has them fetched anew, at most every 30 seconds.
/// </summary>
public sealed partial class ExternalIssuer(SignInOptions options, TimeProvider time, ILogger<ExternalIssuer> logger) : IDisposable
{
    private static readonly TimeSpan refetchEvery = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan clockSkew = TimeSpan.FromSeconds(30);
    private static readonly string[] strongestFirst = [Roles.Admin, Roles.Approver, Roles.Engineer, Roles.Service, Roles.Viewer];
    private static readonly string[] algorithms =
    [
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512,
        SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
    ];

    private readonly HttpClient http = new() { Timeout = TimeSpan.FromSeconds(10) };
    private ConfigurationManager<OpenIdConnectConfiguration>? configuration;

    /// <summary>Whether a token with this <c>iss</c> is for this issuer to judge; it proves nothing yet.</summary>
    public bool Issued(string issuer) => options.Issuer is not null && issuer.TrimEnd('/') == Address;

    private string Address => options.Issuer!.AbsoluteUri.TrimEnd('/');

    /// <returns>Null: the issuer did not make it for us, or it has expired, or the issuer's keys cannot be had.</returns>
    public async Task<ValidToken?> ValidateAsync(JsonWebTokenHandler handler, string token, CancellationToken cancellationToken)
    {
        var source = LazyInitializer.EnsureInitialized(ref configuration, Create);
        OpenIdConnectConfiguration current;
        try
        {
            current = await source.GetConfigurationAsync(cancellationToken);
        }
        catch (InvalidOperationException e)
        {
            Log.NoKeys(logger, Address, e);
            return null;
        }
        var result = await handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = current.Issuer,
            ValidAudience = options.Audience,
            ValidAlgorithms = algorithms,
            IssuerSigningKeys = current.SigningKeys,
            TryAllIssuerSigningKeys = false,
            LifetimeValidator = (notBefore, expires, _, _) => IsNow(notBefore, expires),
        });
        if (result.Exception is SecurityTokenSignatureKeyNotFoundException) source.RequestRefresh();
        if (!result.IsValid)
        {
            Log.Refused(logger, Address, result.Exception.GetType().Name);
            return null;
        }
        if (result.ClaimsIdentity.FindFirst(options.NameClaim)?.Value is not { Length: > 0 } name) return null;
        return new ValidToken(
            new ApiPrincipal($"oidc:{name}", $"oidc:{name}", RoleOf(result)),
            new DateTimeOffset(result.SecurityToken.ValidTo, TimeSpan.Zero) + clockSkew);
    }

    public void Dispose() => http.Dispose();

    private ConfigurationManager<OpenIdConnectConfiguration> Create() => new(
        $"{Address}/.well-known/openid-configuration",
        new OpenIdConnectConfigurationRetriever(),
        new HttpDocumentRetriever(http) { RequireHttps = !options.Issuer!.IsLoopback })
    {
        RefreshInterval = refetchEvery,
    };

    private bool IsNow(DateTime? notBefore, DateTime? expires)
    {
        var now = time.GetUtcNow().UtcDateTime;
        return expires > now - clockSkew && !(notBefore > now + clockSkew);
    }

    /// <returns>Empty: no value of the role claim is mapped.</returns>
    private string RoleOf(TokenValidationResult result)
    {
        var given = result.ClaimsIdentity.FindAll(options.RoleClaim).Select(claim => options.Roles.TryGetValue(claim.Value, out var role) ? role : "").ToList();
        return Array.Find(strongestFirst, given.Contains) ?? "";
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "the keys of the issuer {Issuer} cannot be fetched; its tokens are refused")]
        public static partial void NoKeys(ILogger logger, string issuer, Exception exception);

        [LoggerMessage(2, LogLevel.Information, "a token of the issuer {Issuer} is refused: {Reason}")]
        public static partial void Refused(ILogger logger, string issuer, string reason);
    }
}
