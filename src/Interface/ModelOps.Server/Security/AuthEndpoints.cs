using Microsoft.AspNetCore.Authorization;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Hosting;

namespace ModelOps.Server.Security;

/// <summary>Signing in, staying so, signing out.</summary>
public static class AuthEndpoints
{
    public static void MapAuth(this IEndpointRouteBuilder api)
    {
        var auth = api.MapGroup("/auth").WithTags("auth");
        auth.MapPost("/login", LoginAsync)
            .WithName("login").WithSummary("Begins a session with a name and password.").Produces<SessionTokens>();
        auth.MapPost("/refresh", RefreshAsync)
            .WithName("refreshSession").WithSummary("Spends a refresh token for the next tokens of its session.").Produces<SessionTokens>();
        auth.MapPost("/logout", LogoutAsync)
            .WithName("logout").WithSummary("Ends the session.").Produces(StatusCodes.Status204NoContent);
        auth.MapPost("/password", ChangePasswordAsync)
            .WithName("changePassword").WithSummary("Changes the password of who asks and ends their sessions.").Produces(StatusCodes.Status204NoContent);
        auth.MapGet("/whoami", (HttpContext context) => WhoIs(context.Principal()))
            .WithName("whoAmI").WithSummary("Says who asks, with which role and scopes.");
        api.MapGet("/access", (EndpointDataSource endpoints) => new Page<AccessEntry>([.. endpoints.Endpoints.OfType<RouteEndpoint>().Where(IsOfApi).SelectMany(Entries)]))
            .WithTags("auth").WithName("listAccess").WithSummary("Lists every endpoint with the roles that may use it.");
    }

    private static async Task<IResult> LoginAsync(
        SignIn request, SignInThrottle throttle, Users users, Passwords passwords, Sessions sessions, AccessTokens tokens, AuditTrail audit,
        HttpContext context, CancellationToken cancellationToken)
    {
        var address = AddressOf(context);
        if (throttle.Begin(request.User, address) is { Ticks: > 0 } wait) return TooMany(context, wait);
        var user = request.Password.Length > UserRules.LongestPassword ? null : await users.FindAsync(request.User, cancellationToken);
        var check = passwords.Check(user, request.Password);
        var session = check != PasswordCheck.Wrong && user!.DisabledAt is null
            ? await sessions.StartAsync(user, address, cancellationToken)
            : null;
        if (session is null)
        {
            await audit.AppendAsync(context, "user.sign_in_failed", Shortened(request.User));
            return Problems.Unauthorized("the user name or the password is wrong, or the user is disabled");
        }
        throttle.Succeeded(request.User, address);
        if (check == PasswordCheck.RightButOutdated) await users.RehashAsync(session.User, passwords.Hash(request.Password), cancellationToken);
        return Results.Ok(ToWire(session, tokens));
    }

    private static async Task<IResult> RefreshAsync(
        RefreshSession request, Sessions sessions, AccessTokens tokens, HttpContext context, CancellationToken cancellationToken) =>
        await sessions.RefreshAsync(request.RefreshToken, AddressOf(context), cancellationToken) switch
        {
            SessionRefresh.Refreshed refreshed => Results.Ok(ToWire(refreshed.Token, tokens)),
            SessionRefresh.Refused refused => Problems.Unauthorized(refused.Reason),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };

    private static async Task<IResult> LogoutAsync(Sessions sessions, HttpContext context, CancellationToken cancellationToken)
    {
        if (context.Principal() is not { SessionId: { } session, Name: var name })
            return Problems.Invalid("only a session can be ended; an API key is revoked with DELETE /api/v1/keys/ID");
        await sessions.EndAsync(session, name, cancellationToken);
        return Results.NoContent();
    }

    private static async Task<IResult> ChangePasswordAsync(
        ChangePassword request, SignInThrottle throttle, Users users, Passwords passwords, ServerHome home, HttpContext context, CancellationToken cancellationToken)
    {
        var (name, address) = (context.Principal().Name, AddressOf(context));
        if (UserRules.CheckPassword(name, request.Password) is { Count: > 0 } errors) return Problems.Invalid(errors);
        if (throttle.Begin(name, address) is { Ticks: > 0 } wait) return TooMany(context, wait);
        var user = request.Current.Length > UserRules.LongestPassword ? null : await users.FindAsync(name, cancellationToken);
        if (passwords.Check(user, request.Current) == PasswordCheck.Wrong) return Problems.Invalid("current is not the password of now");
        throttle.Succeeded(name, address);
        return await UserEndpoints.SetPasswordAsync(name, request.Password, users, passwords, home, context, cancellationToken);
    }

    // The pages of Studio are open and do nothing themselves: what they do is a call of what is listed here.
    private static bool IsOfApi(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<IAllowAnonymous>() is null;

    private static IEnumerable<AccessEntry> Entries(RouteEndpoint endpoint)
    {
        var methods = endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["*"];
        foreach (var method in methods)
        {
            var rule = Access.Find(method, endpoint.RoutePattern.RawText);
            yield return new AccessEntry
            {
                Method = method,
                Path = endpoint.RoutePattern.RawText!,
                Public = rule?.Roles.Count == 0,
                Listed = rule is not null,
                Roles = rule?.Roles ?? [],
                Scope = rule?.Scope,
            };
        }
    }

    private static WhoAmI WhoIs(ApiPrincipal principal) => new()
    {
        Name = principal.Name,
        Role = principal.Role.Length == 0 ? null : principal.Role,
        Scopes = principal.Scopes.Split(' '),
        Via = principal.KeyId is not null ? "key" : principal.SessionId is not null ? "session" : "issuer",
    };

    private static SessionTokens ToWire(SessionToken session, AccessTokens tokens) => new()
    {
        AccessToken = tokens.Issue(session),
        TokenType = "Bearer",
        ExpiresIn = (int)AccessTokens.Lifetime.TotalSeconds,
        RefreshToken = session.RefreshToken,
        User = session.User.Name,
        Role = session.User.Role,
    };

    private static IResult TooMany(HttpContext context, TimeSpan wait)
    {
        var seconds = (int)Math.Ceiling(wait.TotalSeconds);
        context.Response.Headers.RetryAfter = $"{seconds}";
        return Problems.Of(
            ProblemTypes.TooManyRequests, StatusCodes.Status429TooManyRequests, $"too many wrong passwords; try again in {seconds} s");
    }

    private static string AddressOf(HttpContext context) => context.Connection.RemoteIpAddress?.ToString() ?? "";

    // What somebody types as a name goes into the log; not more of it than a name can have.
    private static string Shortened(string name) => name.Length <= 64 ? name : name[..64];
}
