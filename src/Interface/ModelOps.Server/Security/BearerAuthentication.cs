using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using ModelOps.Client;

namespace ModelOps.Server.Security;

/// <summary><c>Authorization: Bearer</c> with what <see cref="BearerSecrets"/> knows.</summary>
public sealed class BearerAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder,
    BearerSecrets secrets, AuditTrail audit)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string SchemeName = "Bearer";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (AccessPolicy.RuleOf(Context) is { IsPublic: true }) return AuthenticateResult.NoResult(); // it answers even without a database
        if (!BearerSecrets.Has(Request)) return AuthenticateResult.NoResult();
        var principal = await secrets.PrincipalAsync(Request, Context.RequestAborted);
        return principal is null
            ? AuthenticateResult.Fail("unknown API key or access token")
            : AuthenticateResult.Success(new AuthenticationTicket(principal.ToClaims(SchemeName), SchemeName));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        return Problems.Unauthorized(
            "this needs an API key ('Authorization: Bearer mo_…'; the local one stands in credentials.json of the home folder) or the access token "
            + "of a session that has not ended ('modelops login')")
            .ExecuteAsync(Context);
    }

    protected override async Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        var decision = Access.Decide(AccessPolicy.RuleOf(Context), Context.User.AsPrincipal());
        var reason = decision is AccessDecision.Denied denied ? denied.Reason : "your role may not do this";
        await audit.DeniedAsync(Context, reason);
        await Problems.Of(ProblemTypes.Forbidden, StatusCodes.Status403Forbidden, reason).ExecuteAsync(Context);
    }
}
