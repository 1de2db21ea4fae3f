using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using ModelOps.Client;

namespace ModelOps.Studio.SignIn;

/// <summary>Forms without script: signing in and out, and giving the browser the newest tokens.</summary>
internal static class SignInEndpoints
{
    private const string SignInPath = "/sign-in";

    /// <summary>A header that a page of another site cannot send.</summary>
    private const string OwnHeader = "X-Studio";

    public static string PathFor(string? goOn) => goOn is null or "/" ? SignInPath : QueryHelpers.AddQueryString(SignInPath, "next", goOn);

    public static void MapSignIn(this IEndpointRouteBuilder app)
    {
        app.MapGet(SignInPath, (HttpContext context) => Page(context, context.Request.Query["next"])).AsStudio().ExcludeFromDescription();
        app.MapPost(SignInPath, SignInAsync).AsStudio().ExcludeFromDescription();
        app.MapPost("/sign-out", SignOutAsync).AsStudio().ExcludeFromDescription();
        app.MapPost("/studio/session", Renew).AsStudio().ExcludeFromDescription();
    }

    public static bool IsOwn(HttpRequest request) => request.Headers.ContainsKey(OwnHeader);

    private static async Task SignInAsync(HttpContext context)
    {
        var sessions = context.RequestServices.GetRequiredService<StudioSessions>();
        if (!await context.RequestServices.GetRequiredService<IAntiforgery>().IsRequestValidAsync(context).ConfigureAwait(false))
        {
            await Page(context, goOn: null, fault: "The form was open for too long; sign in again.").ExecuteAsync(context).ConfigureAwait(false);
            return;
        }
        var form = await context.Request.ReadFormAsync(context.RequestAborted).ConfigureAwait(false);
        var (user, password, key, goOn) = (form["user"].ToString(), form["password"].ToString(), form["key"].ToString().Trim(), form["next"].ToString());
        try
        {
            var browser = context.Connection.RemoteIpAddress;
            var session = key.Length > 0
                ? await sessions.SignInAsync(key, browser, context.RequestAborted).ConfigureAwait(false)
                : await sessions.SignInAsync(user.Trim(), password, browser, context.RequestAborted).ConfigureAwait(false);
            sessions.Write(context, session);
            context.Response.Redirect(IsLocal(goOn) ? goOn : "/");
        }
        catch (ModelOpsException exception)
        {
            context.Response.StatusCode = exception.Problem.Status is 0 ? StatusCodes.Status503ServiceUnavailable : exception.Problem.Status;
            await Page(context, goOn, user, exception.Message, withKey: key.Length > 0).ExecuteAsync(context).ConfigureAwait(false);
        }
    }

    private static async Task<IResult> SignOutAsync(HttpContext context, StudioSessions sessions)
    {
        if (!await context.RequestServices.GetRequiredService<IAntiforgery>().IsRequestValidAsync(context).ConfigureAwait(false)) return Results.Redirect("/");
        if (sessions.Find(context.User) is { } session)
        {
            try
            {
                await sessions.SignOutAsync(session, context.Connection.RemoteIpAddress, context.RequestAborted).ConfigureAwait(false);
            }
            catch (ModelOpsException)
            {
                // It is over already.
            }
        }
        StudioSessions.Remove(context);
        return Results.Redirect(SignInPath);
    }

    /// <summary>The guard gave the cookie to the answer if it was behind.</summary>
    private static IResult Renew(HttpRequest request, HttpContext context) =>
        !IsOwn(request) ? Results.BadRequest() : context.User.Identity?.IsAuthenticated == true ? Results.NoContent() : Results.Unauthorized();

    private static RazorComponentResult<SignInPage> Page(HttpContext context, string? goOn, string? user = null, string? fault = null, bool withKey = false)
    {
        var token = context.RequestServices.GetRequiredService<IAntiforgery>().GetAndStoreTokens(context);
        return new(new Dictionary<string, object?>
        {
            [nameof(SignInPage.Token)] = token,
            [nameof(SignInPage.Next)] = goOn,
            [nameof(SignInPage.User)] = user,
            [nameof(SignInPage.Fault)] = fault,
            [nameof(SignInPage.WithKey)] = withKey,
        })
        { PreventStreamingRendering = true };
    }

    private static bool IsLocal(string path) => path is ['/', not ('/' or '\\'), ..] || path == "/";
}
