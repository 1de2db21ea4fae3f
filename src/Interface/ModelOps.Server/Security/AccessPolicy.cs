using Microsoft.AspNetCore.Authorization;

namespace ModelOps.Server.Security;

/// <summary>Applies <see cref="Access"/> to every request, whatever an endpoint itself asks for: the default and the fallback policy.</summary>
public sealed partial class AccessPolicy(ILogger<AccessPolicy> logger) : AuthorizationHandler<AccessPolicy.Requirement>
{
    public static AuthorizationPolicy Policy { get; } = new AuthorizationPolicyBuilder().AddRequirements(new Requirement()).Build();

    /// <summary>The rule of the endpoint that answers the request; null when the table lacks it.</summary>
    public static AccessRule? RuleOf(HttpContext context) =>
        context.GetEndpoint() is RouteEndpoint endpoint ? Access.Find(context.Request.Method, endpoint.RoutePattern.RawText) : null;

    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement)
    {
        if (context.Resource is not HttpContext http) return Task.CompletedTask;
        // No route matched: what answers is 404 or 405, which tell nothing.
        if (http.GetEndpoint() is not RouteEndpoint endpoint)
        {
            context.Succeed(requirement);
            return Task.CompletedTask;
        }
        var rule = RuleOf(http);
        if (rule is null) Log.Unlisted(logger, http.Request.Method, endpoint.RoutePattern.RawText);
        if (Access.Decide(rule, http.User.AsPrincipal()) is AccessDecision.Allowed) context.Succeed(requirement);
        return Task.CompletedTask;
    }

    public sealed class Requirement : IAuthorizationRequirement;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Method} {Route} is refused to everybody: the table in Security/Access.cs does not name it")]
        public static partial void Unlisted(ILogger logger, string method, string? route);
    }
}
