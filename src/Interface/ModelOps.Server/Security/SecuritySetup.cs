using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using ModelOps.Registry;
using ModelOps.Server.Hosting;
using ModelOps.Server.Workers;
using ModelOps.Temporal;

namespace ModelOps.Server.Security;

/// <summary>Who is it, what may they, and what of it is written down.</summary>
public static class SecuritySetup
{
    public static void AddSecurity(this IServiceCollection services, ServerHome home, SignInOptions signIn)
    {
        services.AddSingleton(signIn);
        services.AddSingleton<AuditTrail>();
        services.AddSingleton<WorkerLink>();
        services.AddSingleton<WorkerPlugins>();
        services.AddSingleton<Sessions>().AddSingleton<Users>().AddSingleton<ApiKeys>();
        services.AddSingleton<Passwords>().AddSingleton(provider => new SignInThrottle(new SteadyTime(provider.GetRequiredService<TimeProvider>())));
        services.AddSingleton(provider => TokenKeys.Open(home.Keys, provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<ExternalIssuer>().AddSingleton<AccessTokens>().AddSingleton<BearerSecrets>();
        services.AddHostedService<SessionWatch>();
        // Not AddAuthentication: it brings data protection, whose keys would be written outside the home folder and never used.
        services.AddAuthenticationCore(authentication => authentication.DefaultScheme = BearerAuthentication.SchemeName);
        services.AddWebEncoders();
        new AuthenticationBuilder(services)
            .AddScheme<AuthenticationSchemeOptions, BearerAuthentication>(BearerAuthentication.SchemeName, configureOptions: null);
        services.AddSingleton<IAuthorizationHandler, AccessPolicy>();
        services.AddAuthorization(authorization => authorization.DefaultPolicy = authorization.FallbackPolicy = AccessPolicy.Policy);
    }

    /// <summary>Writes down what an endpoint changed, where the table of access says so.</summary>
    public static void UseAuditTrail(this WebApplication app)
    {
        var trail = app.Services.GetRequiredService<AuditTrail>();
        app.Use(next => context => trail.InvokeAsync(context, next));
    }

    public static void MapSecurity(this IEndpointRouteBuilder api)
    {
        api.MapAuth();
        api.MapUsers();
        api.MapKeys();
        api.MapAudit();
    }

    /// <summary>The keys that verify our access tokens, for gateways and services behind us.</summary>
    public static void MapPublicKeys(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/.well-known/jwks.json", (AccessTokens tokens) => tokens.PublicKeys())
            .WithTags("auth").WithName("getPublicKeys").WithSummary("Gives the keys that verify access tokens, as a JWK set.");
}
