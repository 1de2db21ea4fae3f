using ModelOps.Registry;
using ModelOps.Server.Workers;

namespace ModelOps.Server.Security;

/// <summary>Whose a bearer token is: an API key (<c>mo_…</c>), an access token of a session here or of the external issuer, or the token of this server's workers.</summary>
public sealed class BearerSecrets(ApiKeys keys, AccessTokens tokens, WorkerLink workers)
{
    private const string prefix = "Bearer ";

    /// <summary>Whether a request has a token at all.</summary>
    public static bool Has(HttpRequest request) => request.Headers.Authorization.ToString().StartsWith(prefix, StringComparison.OrdinalIgnoreCase);

    /// <returns>Null: none, or an unknown or ended one.</returns>
    public async ValueTask<ApiPrincipal?> PrincipalAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        if (!Has(request)) return null;
        var secret = request.Headers.Authorization.ToString()[prefix.Length..].Trim();
        return WorkerLink.IsToken(secret) ? workers.Authenticate(secret)
            : secret.StartsWith(ApiKeys.Prefix, StringComparison.Ordinal) ? await keys.AuthenticateAsync(secret, cancellationToken)
            : await tokens.ValidateAsync(secret, cancellationToken);
    }
}
