using System.Security.Claims;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>Who asks, in ASP.NET Core's claims and back.</summary>
public static class Principals
{
    private const string Key = "key";
    private const string OwnerRole = "owner_role";
    private const string Session = "sid";
    private const string Scope = "scope";

    public static ClaimsPrincipal ToClaims(this ApiPrincipal principal, string scheme)
    {
        var identity = new ClaimsIdentity(
            [
                new Claim(ClaimTypes.NameIdentifier, principal.Id),
                new Claim(ClaimTypes.Name, principal.Name),
                new Claim(ClaimTypes.Role, principal.Role),
                new Claim(Scope, principal.Scopes),
            ],
            scheme);
        if (principal.KeyId is { } key) identity.AddClaim(new Claim(Key, key));
        if (principal.OwnerRole is { } role) identity.AddClaim(new Claim(OwnerRole, role));
        if (principal.SessionId is { } session) identity.AddClaim(new Claim(Session, session));
        return new ClaimsPrincipal(identity);
    }

    /// <returns>Null: nobody signed in.</returns>
    public static ApiPrincipal? AsPrincipal(this ClaimsPrincipal user) => user.Identity?.IsAuthenticated != true ? null : new ApiPrincipal(
        user.FindFirstValue(ClaimTypes.NameIdentifier)!, user.FindFirstValue(ClaimTypes.Name)!, user.FindFirstValue(ClaimTypes.Role)!)
    {
        KeyId = user.FindFirstValue(Key),
        OwnerRole = user.FindFirstValue(OwnerRole),
        SessionId = user.FindFirstValue(Session),
        Scopes = user.FindFirstValue(Scope)!,
    };

    /// <summary>Who asks an endpoint that is not public.</summary>
    public static ApiPrincipal Principal(this HttpContext context) =>
        context.User.AsPrincipal() ?? throw new InvalidOperationException($"{context.Request.Path} is public: nobody needs to have signed in");
}
